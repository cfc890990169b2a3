//! Asking every question under every setting.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use image::DynamicImage;
use indicatif::ProgressBar;
use whittle_engine::{Limits, PolicyChoice, Prefix, merge_needs};
use whittle_kv::{Needs, Policy};
use whittle_models::{Message, Model, Prompt};
use whittle_pages::{Page, Question, Task};

use crate::interrupt;

/// What is measured.
pub(super) struct Measurement<'a> {
    pub(super) model: &'a dyn Model,
    /// The full cache first.
    pub(super) settings: &'a [PolicyChoice],
    pub(super) tasks: &'a [Task],
    pub(super) seed_start: u64,
    pub(super) pages: usize,
    pub(super) questions_per_page: usize,
    pub(super) limits: Limits,
    pub(super) memory_limit: Option<u64>,
}

/// Counts of one setting.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tally {
    /// Per task of the measurement: questions asked and answered exactly.
    pub(super) tasks: Vec<[u64; 2]>,
    /// Answers that are the same as with the full cache.
    pub(super) same_as_full: u64,
    /// Sums over all questions.
    pub(super) kept_fraction: f64,
    pub(super) retained_mass: f64,
    /// Questions whose retained mass was measured.
    pub(super) mass_measured: u64,
}

/// One answer under one setting.
struct Answer {
    text: String,
    kept_fraction: f64,
    retained_mass: Option<f64>,
}

impl Measurement<'_> {
    /// Runs all pages on some threads; a tally per setting.
    pub(super) fn run(&self, workers: usize, progress: &ProgressBar) -> Result<Vec<Tally>> {
        let next = AtomicUsize::new(0);
        let empty = Tally {
            tasks: vec![[0; 2]; self.tasks.len()],
            ..Tally::default()
        };
        let total = Mutex::new(vec![empty.clone(); self.settings.len()]);
        // Small models gain more from whole pages side by side than from threads inside a kernel.
        let work = || -> Result<()> {
            loop {
                let page = next.fetch_add(1, Ordering::Relaxed);
                if page >= self.pages {
                    return Ok(());
                }
                let mut tallies = vec![empty.clone(); self.settings.len()];
                let measured = whittle_kernels::serially(|| {
                    self.page(self.seed_start + page as u64, &mut tallies)
                });
                if measured.is_err() {
                    // The other workers stop at their next page.
                    next.store(self.pages, Ordering::Relaxed);
                }
                measured?;
                let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                total
                    .iter_mut()
                    .zip(&tallies)
                    .for_each(|(total, tally)| total.add(tally));
                progress.inc(1);
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            threads
                .into_iter()
                .try_for_each(|thread| match thread.join() {
                    Ok(result) => result,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
        })?;
        Ok(total.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn page(&self, seed: u64, tallies: &mut [Tally]) -> Result<()> {
        let page = Page::generate(seed);
        let image = [DynamicImage::ImageRgb8(page.image)];
        let wanted = page.questions.iter().filter_map(|question| {
            Some((
                question,
                self.tasks.iter().position(|task| *task == question.task)?,
            ))
        });
        for (question, task) in wanted.take(self.questions_per_page) {
            interrupt::check()?;
            let answers = self
                .answers(&image, question)
                .with_context(|| format!("page {seed}, question {:?}", question.text))?;
            for (tally, answer) in tallies.iter_mut().zip(&answers) {
                tally.count(task, answer, &question.answer, &answers[0].text);
            }
        }
        Ok(())
    }

    /// The answers to a question under all settings, from as few prefills as the policies' needs allow.
    fn answers(&self, image: &[DynamicImage], question: &Question) -> Result<Vec<Answer>> {
        let prompt = self
            .model
            .prompt(&[Message::user(&question.text, 1)], image)?;
        let policies = self
            .settings
            .iter()
            .map(PolicyChoice::build)
            .collect::<Result<Vec<_>, _>>()?;
        let mut answers: Vec<Option<Answer>> = policies.iter().map(|_| None).collect();
        for (needs, members) in groups(&policies, &prompt)? {
            let prefix = Prefix::new(
                self.model,
                prompt.clone(),
                &needs,
                self.memory_limit,
                Duration::ZERO,
                &mut (),
            )?;
            for member in members {
                answers[member] = Some(self.answer(&prefix, &*policies[member])?);
            }
        }
        answers
            .into_iter()
            .map(|answer| answer.context("a setting was not run"))
            .collect()
    }

    fn answer(&self, prefix: &Prefix, policy: &dyn Policy) -> Result<Answer> {
        let (prefilled, mut sequence) = prefix.fork(self.model, policy, self.limits.clone())?;
        let mut text = String::new();
        loop {
            let step = sequence.step()?;
            text += &step.text;
            if step.finished.is_some() {
                break;
            }
        }
        Ok(Answer {
            text: text.trim().to_owned(),
            kept_fraction: prefilled.compression.plan.kept_fraction(),
            retained_mass: prefilled.compression.mean_mass(),
        })
    }
}

/// Policies that one prefill can serve, with what it has to collect.
fn groups(policies: &[Box<dyn Policy>], prompt: &Prompt) -> Result<Vec<(Needs, Vec<usize>)>> {
    let mut groups: Vec<(Needs, Vec<usize>)> = Vec::new();
    for (index, policy) in policies.iter().enumerate() {
        let needs = policy.needs(&prompt.info)?;
        let fitting = groups
            .iter_mut()
            .find_map(|(wanted, members)| Some((merge_needs(wanted, &needs)?, wanted, members)));
        match fitting {
            Some((merged, wanted, members)) => {
                *wanted = merged;
                members.push(index);
            }
            None => groups.push((needs, vec![index])),
        }
    }
    Ok(groups)
}

impl Tally {
    fn count(&mut self, task: usize, answer: &Answer, right: &str, full: &str) {
        let [asked, exact] = &mut self.tasks[task];
        *asked += 1;
        *exact += u64::from(answer.text == right);
        self.same_as_full += u64::from(answer.text == full);
        self.kept_fraction += answer.kept_fraction;
        if let Some(mass) = answer.retained_mass {
            self.retained_mass += mass;
            self.mass_measured += 1;
        }
    }

    fn add(&mut self, other: &Self) {
        for (total, task) in self.tasks.iter_mut().zip(&other.tasks) {
            total[0] += task[0];
            total[1] += task[1];
        }
        self.same_as_full += other.same_as_full;
        self.kept_fraction += other.kept_fraction;
        self.retained_mass += other.retained_mass;
        self.mass_measured += other.mass_measured;
    }

    /// Questions asked and answered exactly, all tasks together.
    pub(super) fn all(&self) -> [u64; 2] {
        self.tasks
            .iter()
            .fold([0, 0], |sum, task| [sum[0] + task[0], sum[1] + task[1]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_add_up() {
        let answer = |text: &str, retained_mass| Answer {
            text: text.into(),
            kept_fraction: 0.5,
            retained_mass,
        };
        let mut a = Tally {
            tasks: vec![[0; 2]; 2],
            ..Tally::default()
        };
        a.count(0, &answer("12", Some(0.9)), "12", "12");
        a.count(1, &answer("red", None), "blue", "red");
        let mut b = a.clone();
        b.count(1, &answer("blue", Some(0.7)), "blue", "red");
        a.add(&b);
        assert_eq!(a.tasks, [[2, 2], [3, 1]]);
        assert_eq!(a.all(), [5, 3]);
        assert_eq!((a.same_as_full, a.mass_measured), (4, 3));
        assert!((a.retained_mass - 2.5).abs() < 1e-12 && (a.kept_fraction - 2.5).abs() < 1e-12);
    }
}
