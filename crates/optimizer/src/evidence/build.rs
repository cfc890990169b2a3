//! Rung 1: from a candidate to executables, and what they may not bring along.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use whittle_toolchain::measure::Workload;
use whittle_toolchain::tools::{
    DEBUG_LINES, Digest, Executable, Extension, Object, Profile, Remark, ToolError, Toolchain,
    Unit, normalized_assembly,
};

use crate::candidate::{Artifact, Candidate, Level, Recipe};
use crate::evidence::{Rejection, RejectionKind, Rung};
use crate::program::{Program, is_translation_unit};

/// Library functions that a candidate may import although the original does not: they compute, or they read standard
/// input and write standard output, which is all that a program here does. Everything else (clocks, environment, files,
/// sockets, signals, processes, rounding modes) has to be in the original already.
const HARMLESS_IMPORTS: &str = "\
__assert_fail __cxa_finalize __libc_start_main __stack_chk_fail __gmon_start__ _ITM_deregisterTMCloneTable \
_ITM_registerTMCloneTable __ctype_b_loc __ctype_tolower_loc __ctype_toupper_loc __errno_location __overflow __uflow \
abort abs aligned_alloc atoi atol atoll bcmp bsearch bzero calloc div exit feof ferror fflush fgetc fgets fputc fputs fread \
free fwrite getc getchar getdelim getline isalnum isalpha isdigit islower isprint ispunct isspace isupper labs llabs \
malloc memccpy memchr memcmp memcpy memmem memmove mempcpy memrchr memset perror posix_memalign printf putc putchar \
puts qsort rawmemchr read realloc reallocarray scanf setbuf setvbuf snprintf sprintf sscanf stdin stdout stderr stpcpy \
strcasecmp strcat strchr strcmp strcpy strcspn strdup strlen strncasecmp strncat strncmp strncpy strndup strnlen strpbrk \
strrchr strspn strstr strtod strtof strtok strtol strtoll strtoul strtoull tolower toupper ungetc vfprintf vprintf \
vsnprintf write fprintf fscanf getc_unlocked getchar_unlocked fgetc_unlocked fread_unlocked fgets_unlocked \
putc_unlocked putchar_unlocked fputc_unlocked fwrite_unlocked fputs_unlocked __isoc99_scanf __isoc99_sscanf __isoc99_fscanf \
__isoc23_scanf __isoc23_sscanf __isoc23_fscanf __isoc23_strtol __isoc23_strtoll __isoc23_strtoul __isoc23_strtoull \
__printf_chk __fprintf_chk __sprintf_chk __snprintf_chk __memcpy_chk __memmove_chk __memset_chk __strcpy_chk __strcat_chk \
acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp10 exp2 expm1 fabs fdim floor fma fmax \
fmin fmod frexp hypot ilogb ldexp lgamma llrint llround log log10 log1p log2 logb lrint lround modf nearbyint nextafter \
pow remainder rint round scalbn sin sincos sinh sqrt tan tanh tgamma trunc acosf asinf atanf atan2f ceilf copysignf cosf \
coshf exp2f expf expm1f fabsf floorf fmaf fmaxf fminf fmodf frexpf hypotf ldexpf log10f log1pf log2f logf modff nearbyintf \
powf rintf roundf sinf sincosf sinhf sqrtf tanf tanhf truncf";

/// A candidate at every level below its own.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    /// The optimized IR by module; empty for a candidate in assembly.
    pub(crate) ir: Vec<Unit>,
    /// The assembly by module.
    pub(crate) assembly: Vec<Unit>,
    /// Digest of the assembly without comments.
    pub(crate) code: Digest,
}

/// A candidate was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The candidate's own fault.
    #[error("{}", .0.reason)]
    Rejected(Rejection),
    /// The tools' fault.
    #[error(transparent)]
    Tool(#[from] ToolError),
}

/// Makes executables of candidates of one program.
pub(crate) struct Builder<'a> {
    toolchain: &'a Toolchain,
    program: &'a Program,
    training: Vec<Workload>,
    profile: OnceCell<Profile>,
    /// What the original imports, and its special instructions.
    allowed: OnceCell<(BTreeSet<String>, BTreeMap<String, usize>)>,
    /// The extensions of the instruction set that the program asks for or needs itself.
    pub(super) extensions: OnceCell<BTreeSet<Extension>>,
}

impl<'a> Builder<'a> {
    /// The program.
    pub(crate) fn program(&self) -> &'a Program {
        self.program
    }

    /// The compilers.
    pub(crate) fn toolchain(&self) -> &'a Toolchain {
        self.toolchain
    }

    /// The runs that an execution profile is made of.
    pub(crate) fn training(&self) -> &[Workload] {
        &self.training
    }

    /// `training` are the runs that an execution profile is made of.
    pub(crate) fn new(
        toolchain: &'a Toolchain,
        program: &'a Program,
        training: Vec<Workload>,
    ) -> Self {
        Self {
            toolchain,
            program,
            training,
            profile: OnceCell::new(),
            allowed: OnceCell::new(),
            extensions: OnceCell::new(),
        }
    }

    /// The same with a profile that was measured elsewhere.
    pub(crate) fn with_profile(mut self, profile: Profile) -> Self {
        self.profile = OnceCell::from(profile);
        self
    }

    /// What clang itself makes of the program with these flags.
    pub(crate) fn baseline(&self, flags: &[String]) -> Result<Built, BuildError> {
        let assembly = self
            .program
            .translation_units()
            .map(|unit| {
                let text =
                    self.toolchain
                        .compile_assembly(&self.program.units, &unit.name, flags)?;
                Ok(renamed(unit, "s", text.output))
            })
            .collect::<Result<Vec<_>, ToolError>>()
            .map_err(blame)?;
        Ok(Built::new(Vec::new(), assembly))
    }

    /// Takes the candidate down to assembly.
    pub(crate) fn build(&self, candidate: &Candidate) -> Result<Built, BuildError> {
        let Candidate { artifact, recipe } = candidate;
        if artifact.level == Level::Assembly {
            return Ok(Built::new(Vec::new(), artifact.units.clone()));
        }
        let ir = self.optimized_ir(artifact, recipe).map_err(blame)?;
        let assembly = ir
            .iter()
            .map(|module| {
                let assembly = self.toolchain.back_end(&module.text, &recipe.back_end)?;
                Ok(renamed(module, "s", assembly.output))
            })
            .collect::<Result<Vec<_>, ToolError>>()
            .map_err(blame)?;
        Ok(Built::new(ir, assembly))
    }

    /// The IR after the middle end, by module.
    fn optimized_ir(&self, artifact: &Artifact, recipe: &Recipe) -> Result<Vec<Unit>, ToolError> {
        let flags = self.front_end_flags(recipe)?;
        let mut modules = match artifact.level {
            Level::Source => self.front_end(&artifact.units, &flags)?,
            _ => artifact.units.clone(),
        };
        if recipe.merge && modules.len() > 1 {
            let texts: Vec<&str> = modules.iter().map(|module| module.text.as_str()).collect();
            let text = self.toolchain.merge_whole_program(&texts)?;
            modules = vec![Unit {
                name: "merged.ll".to_owned(),
                text,
            }];
        }
        if recipe.pipeline.is_none() && artifact.level == Level::Ir {
            modules
                .iter()
                .try_for_each(|module| self.toolchain.verify(&module.text))?;
            return Ok(modules);
        }
        let pipeline = self.pipeline(recipe)?;
        let flags = self.middle_end_flags(recipe)?;
        for module in &mut modules {
            module.text = self
                .toolchain
                .middle_end(&module.text, &pipeline, &flags)?
                .output;
        }
        Ok(modules)
    }

    /// The recipe's flags of the middle end, with the profile.
    fn middle_end_flags(&self, recipe: &Recipe) -> Result<Vec<String>, ToolError> {
        let mut flags = recipe.middle_end.clone();
        if recipe.profile {
            flags.push(self.profile()?.middle_end_flag());
        }
        Ok(flags)
    }

    /// What the passes have to say of a candidate in source.
    pub(crate) fn remarks(&self, candidate: &Candidate) -> Result<Vec<Remark>, ToolError> {
        let Candidate { artifact, recipe } = candidate;
        let mut flags = self.front_end_flags(recipe)?;
        flags.push(DEBUG_LINES.to_owned());
        let (pipeline, middle_end) = (self.pipeline(recipe)?, self.middle_end_flags(recipe)?);
        let mut remarks = Vec::new();
        for module in self.front_end(&artifact.units, &flags)? {
            remarks.extend(self.toolchain.optimization_remarks(
                &module.text,
                &pipeline,
                &middle_end,
            )?);
        }
        Ok(remarks)
    }

    /// The recipe's own pipeline, or clang's for its flags.
    pub(crate) fn pipeline(&self, recipe: &Recipe) -> Result<String, ToolError> {
        match &recipe.pipeline {
            Some(pipeline) => Ok(pipeline.clone()),
            None => self
                .toolchain
                .clang_pipeline(&self.front_end_flags(recipe)?),
        }
    }

    /// The IR before the middle end, by module.
    pub(crate) fn front_end(
        &self,
        units: &[Unit],
        flags: &[String],
    ) -> Result<Vec<Unit>, ToolError> {
        units
            .iter()
            .filter(|unit| is_translation_unit(unit))
            .map(|unit| {
                let ir = self.toolchain.front_end(units, &unit.name, flags)?;
                Ok(renamed(unit, "ll", ir.output))
            })
            .collect()
    }

    /// The recipe's flags of the front end, with the host's instruction set and the profile.
    pub(crate) fn front_end_flags(&self, recipe: &Recipe) -> Result<Vec<String>, ToolError> {
        let mut flags = recipe.front_end.clone();
        if recipe.host {
            flags.push("-march=native".to_owned());
        }
        if recipe.profile {
            flags.push(self.profile()?.clang_flag());
        }
        Ok(flags)
    }

    /// The execution profile of the original, measured once.
    pub(crate) fn profile(&self) -> Result<&Profile, ToolError> {
        if let Some(profile) = self.profile.get() {
            return Ok(profile);
        }
        let flags = self.program.base_flags();
        let profile = self
            .toolchain
            .profile(&self.program.units, &flags, &self.training)?;
        Ok(self.profile.get_or_init(|| profile))
    }

    /// Links the assembly under layouts `0..layouts`, see [`Toolchain::link`].
    pub(crate) fn link(
        &self,
        built: &Built,
        recipe: &Recipe,
        layouts: u32,
    ) -> Result<Vec<Executable>, BuildError> {
        let objects: Vec<Object> = built
            .assembly
            .iter()
            .map(|unit| self.toolchain.assemble(&unit.text))
            .collect::<Result<_, _>>()
            .map_err(blame)?;
        let mut flags = self.program.link_flags.clone();
        flags.extend(recipe.link.iter().cloned());
        (0..layouts)
            .map(|layout| self.toolchain.link(&objects, layout, &flags).map_err(blame))
            .collect()
    }

    /// Says once what the original brings along; [`Builder::check_imports`] holds candidates to it.
    pub(crate) fn allow_imports_of(&self, original: &Executable) -> Result<(), ToolError> {
        let allowed = (
            self.toolchain.imports(original)?,
            self.toolchain.special_instructions(original)?,
        );
        let _ = self.allowed.set(allowed);
        Ok(())
    }

    /// Refuses imports and instructions that could cheat and that the original does not have.
    pub(crate) fn check_imports(&self, executable: &Executable) -> Result<(), BuildError> {
        let Some((imports, instructions)) = self.allowed.get() else {
            return Ok(());
        };
        let new: Vec<String> = self
            .toolchain
            .imports(executable)?
            .into_iter()
            .filter(|import| !imports.contains(import) && !is_harmless(import))
            .collect();
        let odd: Vec<String> = self
            .toolchain
            .special_instructions(executable)?
            .into_iter()
            .filter(|(name, count)| *count > instructions.get(name).copied().unwrap_or(0))
            .map(|(name, _)| name)
            .collect();
        if new.is_empty() && odd.is_empty() {
            return Ok(());
        }
        let mut reason = String::new();
        if !new.is_empty() {
            reason = format!("imports what the original does not: {}", new.join(", "));
        }
        if !odd.is_empty() {
            let comma = if reason.is_empty() { "" } else { "; " };
            reason = format!(
                "{reason}{comma}contains instructions that the original does not: {}",
                odd.join(", ")
            );
        }
        Err(BuildError::Rejected(Rejection {
            rung: Rung::Builds,
            kind: RejectionKind::NewImport,
            reason,
        }))
    }
}

impl Built {
    fn new(ir: Vec<Unit>, assembly: Vec<Unit>) -> Self {
        let texts: Vec<String> = assembly
            .iter()
            .map(|unit| normalized_assembly(&unit.text))
            .collect();
        let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        Self {
            ir,
            assembly,
            code: Digest::of(&texts),
        }
    }
}

/// The import without its version, as `printf` in `printf@GLIBC_2.2.5`.
fn is_harmless(import: &str) -> bool {
    let name = import.split('@').next().unwrap_or(import);
    HARMLESS_IMPORTS.split(' ').any(|harmless| harmless == name)
}

fn renamed(unit: &Unit, extension: &str, text: String) -> Unit {
    let stem = unit
        .name
        .rsplit_once('.')
        .map_or(unit.name.as_str(), |(stem, _)| stem);
    Unit {
        name: format!("{stem}.{extension}"),
        text,
    }
}

/// What a compiler refuses or cannot finish is the candidate's fault, everything else is the tools'.
pub(crate) fn blame(error: ToolError) -> BuildError {
    let kind = match &error {
        ToolError::TimedOut { .. } => RejectionKind::Time,
        error if error.is_about_the_input() => RejectionKind::Build,
        ToolError::Died { .. } => RejectionKind::Build,
        _ => return BuildError::Tool(error),
    };
    BuildError::Rejected(Rejection {
        rung: Rung::Builds,
        kind,
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computing_is_harmless_and_clocks_are_not() {
        for harmless in [
            "printf@GLIBC_2.2.5",
            "memcpy",
            "sqrt",
            "__isoc99_scanf@GLIBC_2.7",
        ] {
            assert!(is_harmless(harmless), "{harmless}");
        }
        for cheat in [
            "clock_gettime",
            "getenv",
            "fopen",
            "fork",
            "socket",
            "fesetround",
            "signal",
            "",
            "mem",
        ] {
            assert!(!is_harmless(cheat), "{cheat}");
        }
    }

    #[test]
    fn names_change_their_extension() {
        let unit = Unit {
            name: "a.b.c".to_owned(),
            text: String::new(),
        };
        assert_eq!(renamed(&unit, "ll", String::new()).name, "a.b.ll");
    }
}
