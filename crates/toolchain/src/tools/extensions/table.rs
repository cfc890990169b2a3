//! Instructions beyond the baseline, by the extension that they need, in LLVM's names for both.

/// Extensions whose instructions stand by themselves; general ones may carry a letter for their size.
pub(super) const GENERAL: [(&str, &str); 40] = [
    ("sse3", "fisttp fisttps fisttpl fisttpll"),
    ("sse4a", "extrq insertq movntsd movntss"),
    ("sahf", "lahf sahf"),
    ("cx16", "cmpxchg16b"),
    ("popcnt", "popcnt"),
    ("lzcnt", "lzcnt"),
    ("bmi", "andn bextr blsi blsmsk blsr tzcnt"),
    ("bmi2", "bzhi mulx pdep pext rorx sarx shlx shrx"),
    ("movbe", "movbe"),
    ("crc32", "crc32"),
    ("adx", "adcx adox"),
    (
        "sha",
        "sha1msg1 sha1msg2 sha1nexte sha1rnds4 sha256msg1 sha256msg2 sha256rnds2",
    ),
    ("fsgsbase", "rdfsbase rdgsbase wrfsbase wrgsbase"),
    ("rdrnd", "rdrand"),
    ("rdseed", "rdseed"),
    ("rdpid", "rdpid"),
    ("prfchw", "prefetchw"),
    ("clflushopt", "clflushopt"),
    ("clwb", "clwb"),
    ("clzero", "clzero"),
    ("cldemote", "cldemote"),
    ("xsave", "xgetbv xrstor xrstor64 xsave xsave64"),
    ("xsaveopt", "xsaveopt xsaveopt64"),
    ("xsavec", "xsavec xsavec64"),
    ("ptwrite", "ptwrite"),
    ("waitpkg", "tpause umonitor umwait"),
    ("serialize", "serialize"),
    ("movdiri", "movdiri"),
    ("movdir64b", "movdir64b"),
    ("enqcmd", "enqcmd"),
    ("pku", "rdpkru wrpkru"),
    ("rtm", "xabort xbegin xend xtest"),
    ("tsxldtrk", "xresldtrk xsusldtrk"),
    ("mwaitx", "monitorx mwaitx"),
    ("uintr", "clui senduipi stui testui uiret"),
    ("shstk", "incsspd incsspq rstorssp saveprevssp wrssd wrssq"),
    (
        "amx-tile",
        "ldtilecfg sttilecfg tileloadd tileloaddt1 tilerelease tilestored tilezero",
    ),
    ("amx-int8", "tdpbssd tdpbsud tdpbusd tdpbuud"),
    ("amx-bf16", "tdpbf16ps"),
    ("amx-fp16", "tdpfp16ps"),
];

/// Extensions of SSE. AVX has the same instructions with a `v` in front.
pub(super) const SSE: [(&str, &str); 7] = [
    (
        "sse3",
        "addsubpd addsubps haddpd haddps hsubpd hsubps lddqu movddup movshdup movsldup",
    ),
    (
        "ssse3",
        "pabsb pabsd pabsw palignr phaddd phaddsw phaddw phsubd phsubsw phsubw pmaddubsw pmulhrsw pshufb psignb \
         psignd psignw",
    ),
    (
        "sse4.1",
        "blendpd blendps blendvpd blendvps dppd dpps extractps insertps movntdqa mpsadbw packusdw pblendvb pblendw \
         pcmpeqq pextrb pextrd pextrq phminposuw pinsrb pinsrd pinsrq pmaxsb pmaxsd pmaxud pmaxuw pminsb pminsd \
         pminud pminuw pmovsxbd pmovsxbq pmovsxbw pmovsxdq pmovsxwd pmovsxwq pmovzxbd pmovzxbq pmovzxbw pmovzxdq \
         pmovzxwd pmovzxwq pmuldq pmulld ptest roundpd roundps roundsd roundss",
    ),
    ("sse4.2", "pcmpestri pcmpestrm pcmpgtq pcmpistri pcmpistrm"),
    (
        "aes",
        "aesdec aesdeclast aesenc aesenclast aesimc aeskeygenassist",
    ),
    (
        "pclmul",
        "pclmulhqhqdq pclmulhqlqdq pclmullqhqdq pclmullqlqdq pclmulqdq",
    ),
    ("gfni", "gf2p8affineinvqb gf2p8affineqb gf2p8mulb"),
];

/// Extensions of AVX whose instructions have no form with an EVEX prefix.
pub(super) const VEX_ONLY: [(&str, &str); 6] = [
    (
        "avx",
        "vbroadcastf128 vextractf128 vinsertf128 vmaskmovpd vmaskmovps vperm2f128 vtestpd vtestps vzeroall vzeroupper",
    ),
    (
        "avx2",
        "vbroadcasti128 vextracti128 vinserti128 vpblendd vperm2i128 vpmaskmovd vpmaskmovq",
    ),
    (
        "avxvnniint8",
        "vpdpbssd vpdpbssds vpdpbsud vpdpbsuds vpdpbuud vpdpbuuds",
    ),
    (
        "avxvnniint16",
        "vpdpwsud vpdpwsuds vpdpwusd vpdpwusds vpdpwuud vpdpwuuds",
    ),
    (
        "avxneconvert",
        "vbcstnebf162ps vbcstnesh2ps vcvtneebf162ps vcvtneeph2ps vcvtneobf162ps vcvtneoph2ps",
    ),
    ("sha512", "vsha512msg1 vsha512msg2 vsha512rnds2"),
];

/// Instructions that have both forms and are not SSE's: with a VEX prefix they need this, with an EVEX prefix the other.
pub(super) const BOTH: [(&str, &str, &str); 6] = [
    (
        "avx",
        "avx512f",
        "vbroadcastsd vbroadcastss vpermilpd vpermilps vcvtpd2dqx vcvtpd2dqy vcvtpd2psx vcvtpd2psy vcvttpd2dqx \
         vcvttpd2dqy",
    ),
    (
        "avx2",
        "avx512f",
        "vgatherdpd vgatherdps vgatherqpd vgatherqps vpbroadcastd vpbroadcastq vpermd vpermpd vpermps vpermq \
         vpgatherdd vpgatherdq vpgatherqd vpgatherqq vpsllvd vpsllvq vpsravd vpsrlvd vpsrlvq",
    ),
    ("avx2", "avx512bw", "vpbroadcastb vpbroadcastw"),
    ("f16c", "avx512f", "vcvtph2ps vcvtps2ph"),
    (
        "avxvnni",
        "avx512vnni",
        "vpdpbusd vpdpbusds vpdpwssd vpdpwssds",
    ),
    ("avxifma", "avx512ifma", "vpmadd52huq vpmadd52luq"),
];

/// Instructions with an EVEX prefix only.
pub(super) const EVEX_ONLY: [(&str, &str); 11] = [
    (
        "avx512f",
        "valignd valignq vblendmpd vblendmps vbroadcastf32x4 vbroadcastf64x4 vbroadcasti32x4 vbroadcasti64x4 \
         vcompresspd vcompressps vcvtpd2udq vcvtpd2udqx vcvtpd2udqy vcvtps2udq vcvtsd2usi vcvtsd2usil vcvtsd2usiq \
         vcvtss2usi vcvtss2usil vcvtss2usiq vcvttpd2udq vcvttpd2udqx vcvttpd2udqy vcvttps2udq vcvttsd2usi \
         vcvttsd2usil vcvttsd2usiq vcvttss2usi vcvttss2usil vcvttss2usiq vcvtudq2pd vcvtudq2ps vcvtusi2sd vcvtusi2sdl \
         vcvtusi2sdq vcvtusi2ss vcvtusi2ssl vcvtusi2ssq vexpandpd vexpandps vextractf32x4 vextractf64x4 vextracti32x4 \
         vextracti64x4 vfixupimmpd vfixupimmps vfixupimmsd vfixupimmss vgetexppd vgetexpps vgetexpsd vgetexpss \
         vgetmantpd vgetmantps vgetmantsd vgetmantss vinsertf32x4 vinsertf64x4 vinserti32x4 vinserti64x4 vmovdqa32 \
         vmovdqa64 vmovdqu32 vmovdqu64 vpabsq vpandd vpandnd vpandnq vpandq vpblendmd vpblendmq vpcompressd \
         vpcompressq vpermi2d vpermi2pd vpermi2ps vpermi2q vpermt2d vpermt2pd vpermt2ps vpermt2q vpexpandd vpexpandq \
         vpmaxsq vpmaxuq vpminsq vpminuq vpmovdb vpmovdw vpmovqb vpmovqd vpmovqw vpmovsdb vpmovsdw vpmovsqb vpmovsqd \
         vpmovsqw vpmovusdb vpmovusdw vpmovusqb vpmovusqd vpmovusqw vpord vporq vprold vprolq vprolvd vprolvq vprord \
         vprorq vprorvd vprorvq vpscatterdd vpscatterdq vpscatterqd vpscatterqq vpsraq vpsravq vpternlogd vpternlogq \
         vptestmd vptestmq vptestnmd vptestnmq vpxord vpxorq vrcp14pd vrcp14ps vrcp14sd vrcp14ss vrndscalepd \
         vrndscaleps vrndscalesd vrndscaless vrsqrt14pd vrsqrt14ps vrsqrt14sd vrsqrt14ss vscalefpd vscalefps \
         vscalefsd vscalefss vscatterdpd vscatterdps vscatterqpd vscatterqps vshuff32x4 vshuff64x2 vshufi32x4 \
         vshufi64x2",
    ),
    (
        "avx512bw",
        "vdbpsadbw vmovdqu16 vmovdqu8 vpblendmb vpblendmw vpermi2w vpermt2w vpermw vpmovb2m vpmovm2b vpmovm2w \
         vpmovswb vpmovuswb vpmovw2m vpmovwb vpsllvw vpsravw vpsrlvw vptestmb vptestmw vptestnmb vptestnmw",
    ),
    (
        "avx512dq",
        "vbroadcastf32x2 vbroadcastf32x8 vbroadcastf64x2 vbroadcasti32x2 vbroadcasti32x8 vbroadcasti64x2 vcvtpd2qq \
         vcvtpd2uqq vcvtps2qq vcvtps2uqq vcvtqq2pd vcvtqq2ps vcvtqq2psx vcvtqq2psy vcvttpd2qq vcvttpd2uqq vcvttps2qq \
         vcvttps2uqq vcvtuqq2pd vcvtuqq2ps vcvtuqq2psx vcvtuqq2psy vextractf32x8 vextractf64x2 vextracti32x8 \
         vextracti64x2 vfpclasspd vfpclasspdx vfpclasspdy vfpclasspdz vfpclassps vfpclasspsx vfpclasspsy vfpclasspsz \
         vfpclasssd vfpclassss vinsertf32x8 vinsertf64x2 vinserti32x8 vinserti64x2 vpmovd2m vpmovm2d vpmovm2q \
         vpmovq2m vpmullq vrangepd vrangeps vrangesd vrangess vreducepd vreduceps vreducesd vreducess",
    ),
    (
        "avx512cd",
        "vpbroadcastmb2q vpbroadcastmw2d vpconflictd vpconflictq vplzcntd vplzcntq",
    ),
    ("avx512vbmi", "vpermb vpermi2b vpermt2b vpmultishiftqb"),
    (
        "avx512vbmi2",
        "vpcompressb vpcompressw vpexpandb vpexpandw vpshldd vpshldq vpshldvd vpshldvq vpshldvw vpshldw vpshrdd \
         vpshrdq vpshrdvd vpshrdvq vpshrdvw vpshrdw",
    ),
    ("avx512bitalg", "vpopcntb vpopcntw vpshufbitqmb"),
    ("avx512vpopcntdq", "vpopcntd vpopcntq"),
    (
        "avx512bf16",
        "vcvtne2ps2bf16 vcvtneps2bf16 vcvtneps2bf16x vcvtneps2bf16y vdpbf16ps",
    ),
    ("avx512vp2intersect", "vp2intersectd vp2intersectq"),
    (
        "avx512fp16",
        "vaddph vaddsh vcomish vcvtdq2ph vcvtdq2phx vcvtdq2phy vcvtpd2ph vcvtpd2phx vcvtpd2phy vcvtpd2phz vcvtph2dq \
         vcvtph2pd vcvtph2psx vcvtph2qq vcvtph2udq vcvtph2uqq vcvtph2uw vcvtph2w vcvtps2phx vcvtps2phxx vcvtps2phxy \
         vcvtqq2ph vcvtqq2phx vcvtqq2phy vcvtqq2phz vcvtsd2sh vcvtsh2sd vcvtsh2si vcvtsh2sil vcvtsh2siq vcvtsh2ss \
         vcvtsh2usi vcvtsh2usil vcvtsh2usiq vcvtsi2sh vcvtsi2shl vcvtsi2shq vcvtss2sh vcvttph2dq vcvttph2qq \
         vcvttph2udq vcvttph2uqq vcvttph2uw vcvttph2w vcvttsh2si vcvttsh2sil vcvttsh2siq vcvttsh2usi vcvttsh2usil \
         vcvttsh2usiq vcvtudq2ph vcvtudq2phx vcvtudq2phy vcvtuqq2ph vcvtuqq2phx vcvtuqq2phy vcvtuqq2phz vcvtusi2sh \
         vcvtusi2shl vcvtusi2shq vcvtuw2ph vcvtw2ph vdivph vdivsh vfcmaddcph vfcmaddcsh vfcmulcph vfcmulcsh vfmaddcph \
         vfmaddcsh vfmulcph vfmulcsh vfpclassph vfpclassphx vfpclassphy vfpclassphz vfpclasssh vgetexpph vgetexpsh \
         vgetmantph vgetmantsh vmaxph vmaxsh vminph vminsh vmovsh vmovw vmulph vmulsh vrcpph vrcpsh vreduceph \
         vreducesh vrndscaleph vrndscalesh vrsqrtph vrsqrtsh vscalefph vscalefsh vsqrtph vsqrtsh vsubph vsubsh \
         vucomish",
    ),
];

/// SSE's instructions that need more than AVX-512F with an EVEX prefix.
pub(super) const EVEX_OF_SSE: [(&str, &str); 2] = [
    (
        "avx512bw",
        "pabsb pabsw packssdw packsswb packusdw packuswb paddb paddsb paddsw paddusb paddusw paddw palignr pavgb \
         pavgw pcmpeqb pcmpeqw pcmpgtb pcmpgtw pextrb pextrw pinsrb pinsrw pmaddubsw pmaddwd pmaxsb pmaxsw pmaxub \
         pmaxuw pminsb pminsw pminub pminuw pmovsxbw pmovzxbw pmulhrsw pmulhuw pmulhw pmullw psadbw pshufb pshufhw \
         pshuflw pslldq psllw psraw psrldq psrlw psubb psubsb psubsw psubusb psubusw psubw punpckhbw punpckhwd \
         punpcklbw punpcklwd",
    ),
    (
        "avx512dq",
        "andnpd andnps andpd andps orpd orps pextrd pextrq pinsrd pinsrq xorpd xorps",
    ),
];

/// Comparisons in AVX name one of 32 predicates, or 8 of SSE.
pub(super) const PREDICATES: &str = "eq eq_oq eq_os eq_uq eq_us false false_oq false_os ge ge_oq ge_os gt gt_oq gt_os le le_oq le_os lt lt_oq \
         lt_os neq neq_oq neq_os neq_uq neq_us nge nge_uq nge_us ngt ngt_uq ngt_us nle nle_uq nle_us nlt nlt_uq \
         nlt_us ord ord_q ord_s true true_uq true_us unord unord_q unord_s";

/// Predicates of comparisons of integers into masks.
pub(super) const INTEGER_PREDICATES: &str = "eq lt le neq nlt nle";
