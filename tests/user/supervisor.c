/* SPDX-License-Identifier: MIT */
/*
 * Supervisor state (PASID, CET) is the kernel's: ring 3 can neither read nor write it, whichever
 * way it tries.
 */
#include "user/lib/ktap.h"

#define SIGILL		4
#define SIGSEGV		11
#define MSR_IA32_PASID	0xd93
#define MSR_IA32_U_CET	0x6a0
#define MSR_IA32_XSS	0xda0
#define SUPERVISOR	(BIT(8) | BIT(10) | BIT(11) | BIT(12) | BIT(14) | BIT(15))
#define PATTERN		0xe7
#define HEADER		512
#define IMAGE_SIZE	16384

static u8 image[IMAGE_SIZE] __aligned(64);

static void read_msr(void *msr)
{
	u32 low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"((u32)(long)msr));
}

static void write_msr(void *msr)
{
	__asm__ volatile("wrmsr" :: "a"(1), "d"(0), "c"((u32)(long)msr));
}

TEST(their_msrs_are_out_of_reach)
{
	static const long msrs[] = { MSR_IA32_PASID, MSR_IA32_U_CET, MSR_IA32_XSS };

	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
		EXPECT_EQ(run_child(read_msr, (void *)msrs[i]), KILLED(SIGSEGV));
		EXPECT_EQ(run_child(write_msr, (void *)msrs[i]), KILLED(SIGSEGV));
	}
}

static void do_xsaves(void *arg __unused)
{
	__asm__ volatile("xsaves64 %0" : "+m"(image) : "a"(-1), "d"(-1) : "memory");
}

static void do_xrstors(void *arg __unused)
{
	image[HEADER + 15] = 0x80;		/* XCOMP_BV: compacted */
	__asm__ volatile("xrstors64 %0" :: "m"(image), "a"(-1), "d"(-1) : "memory");
}

/* SIGILL where the CPU has no such instruction. */
TEST(xsaves_and_xrstors_are_privileged)
{
	int save = run_child(do_xsaves, NULL), restore = run_child(do_xrstors, NULL);

	EXPECT(save == KILLED(SIGSEGV) || save == KILLED(SIGILL));
	EXPECT(restore == KILLED(SIGSEGV) || restore == KILLED(SIGILL));
}

static bool has_xsave(u32 *size)
{
	u32 eax = 1, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	if (!(ecx & BIT(27)))
		return false;
	eax = 0xd;
	ecx = 0;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	*size = ebx;
	return true;
}

TEST(xsave_of_everything_has_none_of_it)
{
	u64 header[8];
	u32 size;

	if (!has_xsave(&size))
		SKIP("no XSAVE in use");
	memset(image, PATTERN, sizeof(image));
	memset(image + HEADER, 0, sizeof(header));
	__asm__ volatile("xsave64 %0" : "+m"(image) : "a"(-1), "d"(-1) : "memory");
	memcpy(header, image + HEADER, sizeof(header));
	EXPECT_EQ(header[0] & SUPERVISOR, 0);
	EXPECT_EQ(header[1], 0);
	for (size_t i = size; i < sizeof(image); i++)
		ASSERT_EQ(image[i], PATTERN);
}

/* Bits of XSTATE_BV that are not ring 3's make XRSTOR fault. */
static void restore_pasid(void *arg __unused)
{
	memset(image, 0, sizeof(image));
	image[HEADER + 1] = 4;			/* XSTATE_BV[10] */
	__asm__ volatile("xrstor64 %0" :: "m"(image), "a"(-1), "d"(-1) : "memory");
}

TEST(xrstor_refuses_an_image_with_it)
{
	u32 size;

	if (!has_xsave(&size))
		SKIP("no XSAVE in use");
	EXPECT_EQ(run_child(restore_pasid, NULL), KILLED(SIGSEGV));
}
