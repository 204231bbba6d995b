/* SPDX-License-Identifier: MIT */
/* xsave=soft on the made-up CPU of boot_config.c: what compact.c saves, restores and refuses. */

static struct xregs_state *soft_image(void)
{
	static u8 bytes[2 * XSTATE_SIZE_MAX] __aligned(64);

	memset(bytes, 0xcc, sizeof(bytes));
	memset(bytes + XSAVE_HDR_OFFSET, 0, XSAVE_MIN_SIZE - XSAVE_HDR_OFFSET);
	return (struct xregs_state *)bytes;
}

static u64 *soft_pasid(struct xregs_state *xs)
{
	return (u64 *)((u8 *)xs + xstate_image_offset(&xstate_layout, xs->header.xcomp_bv,
						      XFEATURE_PASID));
}

/* Registers: all initial, but those of @in_use. */
static void fill(u64 in_use, u8 value)
{
	for (unsigned int nr = 0; nr < XFEATURE_MAX; nr++)
		cpu.value[nr] = in_use & BIT_ULL(nr) ? value : 0;
	cpu.mxcsr = in_use & XFEATURE_MASK(SSE) ? 0x1f81 : MXCSR_DEFAULT;
	this_cpu_write(soft_pasid, in_use & PASID ? 0x80001234 : 0);
}

/* Each set of components that are in use: saved as in use, and back as they were. */
static void look_at_soft_saves(u64 in_use, u64 mask)
{
	struct xregs_state *xs = soft_image();
	u64 all = fpu_kernel_cfg.max_features;

	fill(in_use, 0x31);
	soft_xsaves(xs, mask | BIT_ULL(62));		/* what there is not takes no room */
	EQUAL(xs->header.xcomp_bv, XCOMP_BV_COMPACTED | mask);
	EQUAL(xs->header.xfeatures, in_use & mask);
	EQUAL(xs->i387.mxcsr, in_use & mask & XFEATURE_MASK(SSE) ? 0x1f81 : 0xcccccccc);
	EQUAL(xs->i387.mxcsr_mask, in_use & mask & XFEATURE_MASK(SSE) ? 0xffff : 0xcccccccc);
	if (mask & PASID)
		EQUAL(*soft_pasid(xs), in_use & PASID ? 0x80001234 : 0xcccccccccccccccc);
	fill(all, 0x99);
	EQUAL(soft_xrstors(xs, mask), 0);
	for (unsigned int nr = 0; nr < XFEATURE_MAX; nr++)
		if (all & ~PASID & BIT_ULL(nr))
			equal("a register", cpu.value[nr], !(mask & BIT_ULL(nr)) ? 0x99 :
			      in_use & BIT_ULL(nr) ? 0x31 : 0);
	EQUAL(cpu.mxcsr, (in_use | ~mask) & XFEATURE_MASK(SSE) ? 0x1f81 : MXCSR_DEFAULT);
	EQUAL(this_cpu_read(soft_pasid), (in_use | ~mask) & PASID ? 0x80001234 : 0);
}

static void look_at_bad_headers(void)
{
	struct xregs_state *xs = soft_image();
	u64 all = fpu_kernel_cfg.max_features;

	fill(0, 0);
	soft_xsaves(xs, all);
	EQUAL(soft_xrstors(xs, all), 0);
	for (int i = 0; i < 6; i++) {
		xs->header.reserved[i] = BIT_ULL(8 * i);
		EQUAL(soft_xrstors(xs, all), -1);
		xs->header.reserved[i] = 0;
	}
	xs->header.xcomp_bv = all;			/* not compacted */
	EQUAL(soft_xrstors(xs, all), -1);
	xs->header.xcomp_bv = XCOMP_BV_COMPACTED | all | BIT_ULL(40);
	EQUAL(soft_xrstors(xs, all), -1);
	xs->header.xcomp_bv = XCOMP_BV_COMPACTED | SSE;
	xs->header.xfeatures = PKRU;			/* without room */
	EQUAL(soft_xrstors(xs, all), -1);
	xs->header.xfeatures = 0;
	EQUAL(soft_xrstors(xs, all), 0);
}

static void look_at_soft_images(void)
{
	u64 all = fpu_kernel_cfg.max_features;
	struct xregs_state *xs;

	for (unsigned int nr = 0; nr < XFEATURE_MAX; nr++) {
		u64 one = all & BIT_ULL(nr);

		if (!one)
			continue;
		look_at_soft_saves(one, all);
		look_at_soft_saves(all & ~one, all);
		look_at_soft_saves(all, all & ~one);
		look_at_soft_saves(0, one);
	}
	look_at_soft_saves(all, all);
	look_at_soft_saves(0, all);
	/* MXCSR alone makes SSE count as in use. */
	fill(0, 0);
	cpu.mxcsr = 0x1f83;
	xs = soft_image();
	soft_xsaves(xs, all);
	EQUAL(xs->header.xfeatures, XFEATURE_MASK(SSE));
	EQUAL(xs->i387.mxcsr, 0x1f83);
	look_at_bad_headers();
}
