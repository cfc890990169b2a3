	.text
	.file	"signatures.c"
	.section	.rodata.cst16,"aM",@progbits,16
	.p2align	4, 0x0                          # -- Begin function main
.LCPI0_0:
	.zero	16,85
.LCPI0_1:
	.zero	16,51
.LCPI0_2:
	.zero	16,15
	.text
	.globl	main
	.p2align	4, 0x90
	.type	main,@function
main:                                   # @main
	.cfi_startproc
# %bb.0:
	pushq	%rbp
	.cfi_def_cfa_offset 16
	pushq	%r15
	.cfi_def_cfa_offset 24
	pushq	%r14
	.cfi_def_cfa_offset 32
	pushq	%r13
	.cfi_def_cfa_offset 40
	pushq	%r12
	.cfi_def_cfa_offset 48
	pushq	%rbx
	.cfi_def_cfa_offset 56
	subq	$72, %rsp
	.cfi_def_cfa_offset 128
	.cfi_offset %rbx, -56
	.cfi_offset %r12, -48
	.cfi_offset %r13, -40
	.cfi_offset %r14, -32
	.cfi_offset %r15, -24
	.cfi_offset %rbp, -16
	leaq	.L.str(%rip), %rdi
	leaq	4(%rsp), %rsi
	movq	%rsp, %rdx
	xorl	%eax, %eax
	callq	__isoc99_scanf@PLT
	cmpl	$2, %eax
	setne	%dl
	movl	4(%rsp), %eax
	testl	%eax, %eax
	setle	%sil
	movl	(%rsp), %ecx
	testl	%ecx, %ecx
	setle	%dil
	orb	%sil, %dil
	orb	%dl, %dil
	movl	$1, %r14d
	jne	.LBB0_13
# %bb.1:
	movl	%eax, %ebx
	movl	%ecx, %r12d
	movq	%rbx, 8(%rsp)                   # 8-byte Spill
	imulq	%r12, %rbx
	leaq	(,%rbx,8), %rdi
	callq	malloc@PLT
	testq	%rax, %rax
	je	.LBB0_13
# %bb.2:
	movabsq	$6364136223846793005, %r9       # imm = 0x5851F42D4C957F2D
	movabsq	$1442695040888963407, %rcx      # imm = 0x14057B7EF767814F
	leaq	-1(%rbx), %rsi
	movl	%ebx, %edx
	andl	$3, %edx
	cmpq	$3, %rsi
	jae	.LBB0_9
# %bb.3:
	movl	$1, %esi
	xorl	%edi, %edi
	jmp	.LBB0_4
.LBB0_9:
	movabsq	$4611686018427387900, %rsi      # imm = 0x3FFFFFFFFFFFFFFC
	andq	%rsi, %rbx
	movl	$1, %esi
	xorl	%edi, %edi
	.p2align	4, 0x90
.LBB0_10:                               # =>This Inner Loop Header: Depth=1
	imulq	%r9, %rsi
	addq	%rcx, %rsi
	movq	%rsi, (%rax,%rdi,8)
	imulq	%r9, %rsi
	addq	%rcx, %rsi
	movq	%rsi, 8(%rax,%rdi,8)
	imulq	%r9, %rsi
	addq	%rcx, %rsi
	movq	%rsi, 16(%rax,%rdi,8)
	imulq	%r9, %rsi
	addq	%rcx, %rsi
	movq	%rsi, 24(%rax,%rdi,8)
	addq	$4, %rdi
	cmpq	%rdi, %rbx
	jne	.LBB0_10
.LBB0_4:
	testq	%rdx, %rdx
	je	.LBB0_7
# %bb.5:
	leaq	(%rax,%rdi,8), %rdi
	xorl	%r8d, %r8d
	.p2align	4, 0x90
.LBB0_6:                                # =>This Inner Loop Header: Depth=1
	imulq	%r9, %rsi
	addq	%rcx, %rsi
	movq	%rsi, (%rdi,%r8,8)
	incq	%r8
	cmpq	%r8, %rdx
	jne	.LBB0_6
.LBB0_7:
	movq	8(%rsp), %rdx                   # 8-byte Reload
	testl	%edx, %edx
	movq	%rax, 24(%rsp)                  # 8-byte Spill
	jle	.LBB0_8
# %bb.14:
	movl	%r12d, %r15d
	andl	$2147483644, %r15d              # imm = 0x7FFFFFFC
	leaq	16(%rax), %rcx
	leaq	(,%r12,8), %rsi
	movq	%rsi, 16(%rsp)                  # 8-byte Spill
	leaq	(%rax,%r12,8), %rdi
	addq	$16, %rdi
	leaq	(%rax,%r12,8), %r8
	movl	$1, %esi
	xorl	%r9d, %r9d
	movabsq	$6148914691236517205, %r11      # imm = 0x5555555555555555
	movabsq	$3689348814741910323, %r13      # imm = 0x3333333333333333
	movabsq	$1085102592571150095, %rbp      # imm = 0xF0F0F0F0F0F0F0F
	movabsq	$72340172838076673, %r14        # imm = 0x101010101010101
	movdqa	.LCPI0_0(%rip), %xmm0           # xmm0 = [85,85,85,85,85,85,85,85,85,85,85,85,85,85,85,85]
	movdqa	.LCPI0_1(%rip), %xmm1           # xmm1 = [51,51,51,51,51,51,51,51,51,51,51,51,51,51,51,51]
	movdqa	.LCPI0_2(%rip), %xmm2           # xmm2 = [15,15,15,15,15,15,15,15,15,15,15,15,15,15,15,15]
	pxor	%xmm3, %xmm3
	movq	%rax, %rbx
	xorl	%r10d, %r10d
	jmp	.LBB0_15
	.p2align	4, 0x90
.LBB0_11:                               #   in Loop: Header=BB0_15 Depth=1
	movq	40(%rsp), %rsi                  # 8-byte Reload
	incq	%rsi
	movq	16(%rsp), %rax                  # 8-byte Reload
	addq	%rax, %rcx
	movq	56(%rsp), %rdi                  # 8-byte Reload
	addq	%rax, %rdi
	movq	48(%rsp), %r8                   # 8-byte Reload
	addq	%rax, %r8
	addq	%rax, %rbx
	movq	32(%rsp), %r9                   # 8-byte Reload
	cmpq	%rdx, %r9
	je	.LBB0_12
.LBB0_15:                               # =>This Loop Header: Depth=1
                                        #     Child Loop BB0_16 Depth 2
                                        #       Child Loop BB0_19 Depth 3
                                        #       Child Loop BB0_21 Depth 3
	incq	%r9
	movq	%r9, 32(%rsp)                   # 8-byte Spill
	cmpq	%rdx, %r9
	movq	%rdi, 56(%rsp)                  # 8-byte Spill
	movq	%r8, 48(%rsp)                   # 8-byte Spill
	movq	%rsi, 40(%rsp)                  # 8-byte Spill
	jb	.LBB0_16
	jmp	.LBB0_11
	.p2align	4, 0x90
.LBB0_22:                               #   in Loop: Header=BB0_16 Depth=2
	movl	%r10d, %eax
	movq	64(%rsp), %r10                  # 8-byte Reload
	addq	%rax, %r10
	incq	%rsi
	movq	16(%rsp), %rax                  # 8-byte Reload
	addq	%rax, %rdi
	addq	%rax, %r8
	movq	8(%rsp), %rdx                   # 8-byte Reload
	cmpq	%rdx, %rsi
	je	.LBB0_11
.LBB0_16:                               #   Parent Loop BB0_15 Depth=1
                                        # =>  This Loop Header: Depth=2
                                        #       Child Loop BB0_19 Depth 3
                                        #       Child Loop BB0_21 Depth 3
	movq	%r10, 64(%rsp)                  # 8-byte Spill
	cmpl	$4, %r12d
	jae	.LBB0_18
# %bb.17:                               #   in Loop: Header=BB0_16 Depth=2
	xorl	%eax, %eax
	xorl	%r10d, %r10d
	jmp	.LBB0_21
	.p2align	4, 0x90
.LBB0_18:                               #   in Loop: Header=BB0_16 Depth=2
	pxor	%xmm4, %xmm4
	xorl	%r10d, %r10d
	pxor	%xmm5, %xmm5
	.p2align	4, 0x90
.LBB0_19:                               #   Parent Loop BB0_15 Depth=1
                                        #     Parent Loop BB0_16 Depth=2
                                        # =>    This Inner Loop Header: Depth=3
	movdqu	-16(%rcx,%r10,8), %xmm6
	movdqu	(%rcx,%r10,8), %xmm7
	movdqu	-16(%rdi,%r10,8), %xmm8
	pxor	%xmm6, %xmm8
	movdqu	(%rdi,%r10,8), %xmm6
	pxor	%xmm7, %xmm6
	movdqa	%xmm8, %xmm7
	psrlw	$1, %xmm7
	pand	%xmm0, %xmm7
	psubb	%xmm7, %xmm8
	movdqa	%xmm8, %xmm7
	pand	%xmm1, %xmm7
	psrlw	$2, %xmm8
	pand	%xmm1, %xmm8
	paddb	%xmm7, %xmm8
	movdqa	%xmm8, %xmm7
	psrlw	$4, %xmm7
	paddb	%xmm8, %xmm7
	pand	%xmm2, %xmm7
	psadbw	%xmm3, %xmm7
	movdqa	%xmm6, %xmm8
	psrlw	$1, %xmm8
	pand	%xmm0, %xmm8
	psubb	%xmm8, %xmm6
	movdqa	%xmm6, %xmm8
	pand	%xmm1, %xmm8
	psrlw	$2, %xmm6
	pand	%xmm1, %xmm6
	paddb	%xmm8, %xmm6
	movdqa	%xmm6, %xmm8
	psrlw	$4, %xmm8
	paddb	%xmm6, %xmm8
	pand	%xmm2, %xmm8
	psadbw	%xmm3, %xmm8
	pshufd	$232, %xmm7, %xmm6              # xmm6 = xmm7[0,2,2,3]
	paddd	%xmm6, %xmm4
	pshufd	$232, %xmm8, %xmm6              # xmm6 = xmm8[0,2,2,3]
	paddd	%xmm6, %xmm5
	addq	$4, %r10
	cmpq	%r10, %r15
	jne	.LBB0_19
# %bb.20:                               #   in Loop: Header=BB0_16 Depth=2
	paddd	%xmm4, %xmm5
	pshufd	$85, %xmm5, %xmm4               # xmm4 = xmm5[1,1,1,1]
	paddd	%xmm5, %xmm4
	movd	%xmm4, %r10d
	movq	%r15, %rax
	cmpl	%r12d, %r15d
	je	.LBB0_22
	.p2align	4, 0x90
.LBB0_21:                               #   Parent Loop BB0_15 Depth=1
                                        #     Parent Loop BB0_16 Depth=2
                                        # =>    This Inner Loop Header: Depth=3
	movq	(%r8,%rax,8), %r9
	xorq	(%rbx,%rax,8), %r9
	movq	%r9, %rdx
	shrq	%rdx
	andq	%r11, %rdx
	subq	%rdx, %r9
	movq	%r9, %rdx
	andq	%r13, %rdx
	shrq	$2, %r9
	andq	%r13, %r9
	addq	%rdx, %r9
	movq	%r9, %rdx
	shrq	$4, %rdx
	addq	%r9, %rdx
	andq	%rbp, %rdx
	imulq	%r14, %rdx
	shrq	$56, %rdx
	addl	%edx, %r10d
	incq	%rax
	cmpq	%rax, %r12
	jne	.LBB0_21
	jmp	.LBB0_22
.LBB0_8:
	xorl	%r10d, %r10d
.LBB0_12:
	leaq	.L.str.1(%rip), %rdi
	movq	%r10, %rsi
	xorl	%eax, %eax
	callq	printf@PLT
	movq	24(%rsp), %rdi                  # 8-byte Reload
	callq	free@PLT
	xorl	%r14d, %r14d
.LBB0_13:
	movl	%r14d, %eax
	addq	$72, %rsp
	.cfi_def_cfa_offset 56
	popq	%rbx
	.cfi_def_cfa_offset 48
	popq	%r12
	.cfi_def_cfa_offset 40
	popq	%r13
	.cfi_def_cfa_offset 32
	popq	%r14
	.cfi_def_cfa_offset 24
	popq	%r15
	.cfi_def_cfa_offset 16
	popq	%rbp
	.cfi_def_cfa_offset 8
	retq
.Lfunc_end0:
	.size	main, .Lfunc_end0-main
	.cfi_endproc
                                        # -- End function
	.type	.L.str,@object                  # @.str
	.section	.rodata.str1.1,"aMS",@progbits,1
.L.str:
	.asciz	"%d %d"
	.size	.L.str, 6

	.type	.L.str.1,@object                # @.str.1
.L.str.1:
	.asciz	"%ld\n"
	.size	.L.str.1, 5

	.ident	"Debian clang version 19.1.7 (3~deb12u1)"
	.section	".note.GNU-stack","",@progbits
	.addrsig
