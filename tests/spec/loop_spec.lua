-- The hot loop of a kernel's assembly: found, and its operations counted, on both architectures.
package.path = "bench/?.lua;" .. package.path

local loop = require "loop"

local x86 = [[
kernel:
	testl	%ecx, %ecx
	jle	.L9
.L2:
	movq	%rdi, %rax
.L3:
	vmovdqu8	(%rax), %zmm1
	prefetcht1	4096(%rax)
#APP
# 21 "kernel.c" 1
	vpdpbusd %zmm1, %zmm2, %zmm0
# 0 "" 2
#NO_APP
	vpandd	64(%rax), %zmm3, %zmm4
	vpsrlw	$2, %zmm4, %zmm4
	vpbroadcastd	(%rdx), %zmm5
	vpbroadcastd	%ecx, %zmm6
	{vex} vpdpbusd %ymm1, %ymm2, %ymm0
	vmovdqa	%ymm1, (%rsp)
	addq	$64, %rax
	cmpq	%rsi, %rax
	jne	.L3
	vpaddd	%zmm0, %zmm1, %zmm1
	decl	%ecx
	jne	.L2
.L4:
	addq	$1, %rax
	cmpq	%rsi, %rax
	jb	.L4
.L9:
	ret
]]

local arm = [[
.L5:
	ldp	q0, q1, [x1]
	ldr	q2, [x2, 16]
	ld1r	{v3.4s}, [x3], 4
	prfm	PLDL2KEEP, [x1, 4096]
	and	v0.16b, v0.16b, v7.16b
	ushr	v1.16b, v1.16b, 2
	smmla	v6.4s, v0.16b, v1.16b
	mov	v8.16b, v6.16b
	str	q8, [sp]
	add	x1, x1, 32
	cmp	x1, x4
	bne	.L5
]]

describe("loop", function()
  it("is the innermost one that computes vectors", function()
    local body = loop.hottest(x86)
    assert.equal("vmovdqu8	(%rax), %zmm1", body[1])
    assert.equal("jne	.L3", body[#body])
    assert.is_nil(loop.hottest("f:\n.L1:\n\tdecl\t%eax\n\tjne\t.L1\n\tret\n"))
  end)

  it("counts what computes, what loads, and all", function()
    assert.same({ all = 12, alu = 5, loads = 3, products = 2, floats = 0 }, loop.count(loop.hottest(x86)))
    assert.same({ all = 12, alu = 3, loads = 4, products = 1, floats = 0 }, loop.count(loop.hottest(arm)))
  end)

  it("tells arithmetic of floating-point numbers from moves, and products of integers from both", function()
    local function kinds(...)
      local n = loop.count { ... }
      return { n.products, n.floats }
    end
    assert.same({ 0, 0 }, kinds("vmovups (%rax), %zmm1", "movaps %xmm0, %xmm1", "vbroadcastss (%rax), %ymm0",
      "fmov s0, w1", "vpaddd %zmm0, %zmm1, %zmm1", "vpshufb %ymm0, %ymm1, %ymm2", "subs w0, w0, 1"))
    assert.same({ 0, 11 }, kinds("vaddps %zmm0, %zmm1, %zmm1", "mulss %xmm0, %xmm1", "vfmadd231ps %ymm0, %ymm1, %ymm2",
      "vcvtdq2ps %zmm0, %zmm1", "divsd %xmm0, %xmm1", "vmaxps %xmm0, %xmm1, %xmm2", "vsqrtpd %xmm0, %xmm1",
      "fadd v0.4s, v1.4s, v2.4s", "fmla v0.4s, v1.4s, v2.4s", "scvtf v0.4s, v1.4s", "vcmpltps %zmm0, %zmm1, %k1"))
    assert.same({ 9, 0 }, kinds("vpmaddubsw %ymm0, %ymm1, %ymm2", "pmulld %xmm0, %xmm1",
      "{vex} vpdpbusd %ymm1, %ymm2, %ymm0", "tdpbssd %tmm0, %tmm1, %tmm2", "smlal v0.8h, v1.8b, v2.8b",
      "sdot v0.4s, v1.16b, v2.16b",
      "usmmla v6.4s, v0.16b, v1.16b", "mul v0.4s, v1.4s, v2.4s", "imull %ecx, %edx"))
  end)
end)
