// SPDX-License-Identifier: MIT
/*
 * 80 x 25 cells at 0xb8000, a character and a colour each.
 *
 * The text is kept in RAM and copied out, as reading video memory is slow everywhere. Whether there
 * is a text screen is asked of the adapter itself: after UEFI it shows pixels, and those addresses
 * are not its own.
 */
#include "arch/x86/vga.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/layout.h"
#include "lib/string.h"

#define TEXT_MEMORY	((void *)(DIRECT_MAP + 0xb8000))
#define COLS		80
#define ROWS		25
#define BLANK		0x0720			/* a space, grey on black */

#define GRAPHICS_INDEX	0x3ce			/* its data port is the next one, as is CRTC's */
#define GC_MISC		6
#define CRTC_INDEX	0x3d4
#define CRTC_START	0x0c			/* the cell shown first; two registers */
#define CRTC_CURSOR	0x0e

static u16 cells[ROWS][COLS];
static unsigned int row, col;			/* of the cursor; col may be COLS: line full */
static unsigned int changed;			/* the first row to copy out */
static bool present;

static void crtc_set(u8 index, u16 value)
{
	outb(CRTC_INDEX, index);
	outb(CRTC_INDEX + 1, value >> 8);
	outb(CRTC_INDEX, index + 1);
	outb(CRTC_INDEX + 1, value);
}

/* Copy out the rows that have changed. */
static void show(void)
{
	memcpy(TEXT_MEMORY + changed * sizeof(cells[0]), cells[changed],
	       (row - changed + 1) * sizeof(cells[0]));
	crtc_set(CRTC_CURSOR, row * COLS + min(col, COLS - 1u));
}

static void blank_row(unsigned int r)
{
	for (unsigned int c = 0; c < COLS; c++)
		cells[r][c] = BLANK;
}

static void new_line(void)
{
	col = 0;
	if (row < ROWS - 1) {
		row++;
		return;
	}
	memcpy(cells[0], cells[1], sizeof(cells) - sizeof(cells[0]));	/* it goes upwards */
	blank_row(ROWS - 1);
	changed = 0;
}

static void put(u8 byte)
{
	if (byte == '\n') {
		new_line();
	} else if (byte == '\r') {
		col = 0;
	} else if (byte == '\b') {
		col -= col > 0;
	} else if (byte == '\t') {
		col = min((col | 7) + 1, (unsigned int)COLS);
	} else if (byte >= ' ') {
		if (col == COLS)
			new_line();
		cells[row][col++] = (BLANK & 0xff00) | byte;
	}
}

void vga_init(void)
{
	/* Bit 0: pixels. Bits 3:2 are 3: memory at 0xb8000. All bits are set: nobody answers. */
	outb(GRAPHICS_INDEX, GC_MISC);
	present = (inb(GRAPHICS_INDEX + 1) & 0x0d) == 0x0c;
	if (!present)
		return;
	for (row = 0; row < ROWS; row++)
		blank_row(row);
	row = ROWS - 1;
	show();
	row = 0;
	crtc_set(CRTC_START, 0);
}

void vga_write(const char *bytes, size_t len)
{
	if (!present)
		return;
	changed = row;
	for (size_t i = 0; i < len; i++)
		put(bytes[i]);
	show();
}
