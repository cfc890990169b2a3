	.text
	.file	"signatures.c"
	.globl	main                            # -- Begin function main
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
	pushq	%rax
	.cfi_def_cfa_offset 64
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
	movl	%eax, %r15d
	movl	%ecx, %r12d
	movq	%r15, %r13
	imulq	%r12, %r13
	leaq	(,%r13,8), %rdi
	callq	malloc@PLT
	testq	%rax, %rax
	je	.LBB0_13
# %bb.2:
	movq	%rax, %rbx
	movabsq	$6364136223846793005, %rax      # imm = 0x5851F42D4C957F2D
	movabsq	$1442695040888963407, %rcx      # imm = 0x14057B7EF767814F
	leaq	-1(%r13), %rsi
	movl	%r13d, %edx
	andl	$3, %edx
	cmpq	$3, %rsi
	jae	.LBB0_9
# %bb.3:
	movl	$1, %esi
	xorl	%edi, %edi
	jmp	.LBB0_4
.LBB0_9:
	movabsq	$4611686018427387900, %rsi      # imm = 0x3FFFFFFFFFFFFFFC
	andq	%rsi, %r13
	movl	$1, %esi
	xorl	%edi, %edi
	.p2align	4, 0x90
.LBB0_10:                               # =>This Inner Loop Header: Depth=1
	imulq	%rax, %rsi
	addq	%rcx, %rsi
	movq	%rsi, (%rbx,%rdi,8)
	imulq	%rax, %rsi
	addq	%rcx, %rsi
	movq	%rsi, 8(%rbx,%rdi,8)
	imulq	%rax, %rsi
	addq	%rcx, %rsi
	movq	%rsi, 16(%rbx,%rdi,8)
	imulq	%rax, %rsi
	addq	%rcx, %rsi
	movq	%rsi, 24(%rbx,%rdi,8)
	addq	$4, %rdi
	cmpq	%rdi, %r13
	jne	.LBB0_10
.LBB0_4:
	testq	%rdx, %rdx
	je	.LBB0_7
# %bb.5:
	leaq	(%rbx,%rdi,8), %rdi
	xorl	%r8d, %r8d
	.p2align	4, 0x90
.LBB0_6:                                # =>This Inner Loop Header: Depth=1
	imulq	%rax, %rsi
	addq	%rcx, %rsi
	movq	%rsi, (%rdi,%r8,8)
	incq	%r8
	cmpq	%r8, %rdx
	jne	.LBB0_6
.LBB0_7:
	xorl	%r14d, %r14d
	testl	%r15d, %r15d
	jle	.LBB0_8
# %bb.14:
	movl	$1, %eax
	xorl	%ecx, %ecx
	xorl	%esi, %esi
	jmp	.LBB0_15
	.p2align	4, 0x90
.LBB0_11:                               #   in Loop: Header=BB0_15 Depth=1
	incq	%rax
	cmpq	%r15, %rcx
	je	.LBB0_12
.LBB0_15:                               # =>This Loop Header: Depth=1
                                        #     Child Loop BB0_17 Depth 2
                                        #       Child Loop BB0_18 Depth 3
                                        #         Child Loop BB0_20 Depth 4
	movq	%rcx, %rdx
	incq	%rcx
	cmpq	%r15, %rcx
	jae	.LBB0_11
# %bb.16:                               #   in Loop: Header=BB0_15 Depth=1
	imulq	%r12, %rdx
	leaq	(%rbx,%rdx,8), %rdx
	movq	%rax, %rdi
	jmp	.LBB0_17
	.p2align	4, 0x90
.LBB0_22:                               #   in Loop: Header=BB0_17 Depth=2
	movslq	%r10d, %r8
	addq	%r8, %rsi
	incq	%rdi
	cmpq	%r15, %rdi
	je	.LBB0_11
.LBB0_17:                               #   Parent Loop BB0_15 Depth=1
                                        # =>  This Loop Header: Depth=2
                                        #       Child Loop BB0_18 Depth 3
                                        #         Child Loop BB0_20 Depth 4
	movq	%rdi, %r8
	imulq	%r12, %r8
	leaq	(%rbx,%r8,8), %r8
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	jmp	.LBB0_18
	.p2align	4, 0x90
.LBB0_21:                               #   in Loop: Header=BB0_18 Depth=3
	addl	%ebp, %r10d
	incq	%r9
	cmpq	%r12, %r9
	je	.LBB0_22
.LBB0_18:                               #   Parent Loop BB0_15 Depth=1
                                        #     Parent Loop BB0_17 Depth=2
                                        # =>    This Loop Header: Depth=3
                                        #         Child Loop BB0_20 Depth 4
	movq	(%rdx,%r9,8), %r13
	movq	(%r8,%r9,8), %r11
	movl	$0, %ebp
	cmpq	%r11, %r13
	je	.LBB0_21
# %bb.19:                               #   in Loop: Header=BB0_18 Depth=3
	xorq	%r13, %r11
	xorl	%ebp, %ebp
	.p2align	4, 0x90
.LBB0_20:                               #   Parent Loop BB0_15 Depth=1
                                        #     Parent Loop BB0_17 Depth=2
                                        #       Parent Loop BB0_18 Depth=3
                                        # =>      This Inner Loop Header: Depth=4
	leaq	-1(%r11), %r13
	incl	%ebp
	andq	%r13, %r11
	jne	.LBB0_20
	jmp	.LBB0_21
.LBB0_8:
	xorl	%esi, %esi
.LBB0_12:
	leaq	.L.str.1(%rip), %rdi
	xorl	%eax, %eax
	callq	printf@PLT
	movq	%rbx, %rdi
	callq	free@PLT
.LBB0_13:
	movl	%r14d, %eax
	addq	$8, %rsp
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
