// SPDX-License-Identifier: LGPL-2.1-or-later
//
// IA32_XFD for Bochs, and tiles as the SDM lays them out (README.md beside this file). Included at
// the end of cpu/xsave.cc.

// Components that may be disabled: SDM vol. 1, 13.14; CPUID leaf 0xD, sub-leaf i, ECX bit 2.
Bit64u BX_CPU_C::xfd_suppmask(void)
{
  return BX_CPU_THIS_PTR xcr0_suppmask & BX_XCR0_XTILEDATA_MASK;
}

// #NM if one of @features is disabled. IA32_XFD_ERR then says which.
void BX_CPU_C::check_xfd(Bit64u features)
{
  Bit64u disabled = features & BX_CPU_THIS_PTR msr.ia32_xfd;

  if (disabled) {
    BX_CPU_THIS_PTR msr.ia32_xfd_err = disabled;
    exception(BX_NM_EXCEPTION, 0);
  }
}

// TILECFG (SDM vol. 2, LDTILECFG): bytes a row in words 8 to 15, rows in bytes 48 to 55.
void BX_CPU_C::store_tilecfg(bxInstruction_c *i, bx_address offset)
{
  BxPackedAvxRegister image;

  image.clear();
  if (BX_CPU_THIS_PTR amx->tiles_configured()) {
    image.vmmubyte(0) = BX_CPU_THIS_PTR amx->palette_id;
    image.vmmubyte(1) = BX_CPU_THIS_PTR amx->start_row;
    for (unsigned n=0; n < BX_TILE_REGISTERS; n++) {
      image.vmm16u(8+n) = BX_CPU_THIS_PTR amx->tilecfg[n].bytes_per_row;
      image.vmmubyte(48+n) = BX_CPU_THIS_PTR amx->tilecfg[n].rows;
    }
  }
  write_virtual_zmmword(i->seg(), offset, &image);
}

// XRSTOR of TILECFG leaves TILEDATA alone, which is a component of its own.
void BX_CPU_C::restore_tilecfg(bxInstruction_c *i, bx_address offset)
{
  AMX before = *BX_CPU_THIS_PTR amx;
  BxPackedAvxRegister image;

  read_virtual_zmmword(i->seg(), offset, &image);
  if (! configure_tiles(i, image))
    BX_CPU_THIS_PTR amx->clear();
  for (unsigned n=0; n < BX_TILE_REGISTERS; n++)
    BX_CPU_THIS_PTR amx->tile[n] = before.tile[n];
  BX_CPU_THIS_PTR amx->tile_use_tracker = before.tile_use_tracker;
}

void BX_CPU_C::init_tilecfg(void)
{
  BX_CPU_THIS_PTR amx->palette_id = 0;
  BX_CPU_THIS_PTR amx->start_row = 0;
  BX_CPU_THIS_PTR amx->clear_tilecfg();
}

// TILEDATA: 8 tiles of 16 rows of 64 bytes. What is disabled is not stored.
void BX_CPU_C::store_tiledata(bxInstruction_c *i, bx_address offset)
{
  bx_address asize_mask = i->asize_mask();

  if (BX_CPU_THIS_PTR msr.ia32_xfd & BX_XCR0_XTILEDATA_MASK)
    return;
  for (unsigned n=0; n < BX_TILE_REGISTERS * BX_TILE_MAX_ROWS; n++)
    write_virtual_zmmword(i->seg(), (offset + n*64) & asize_mask,
      &BX_CPU_THIS_PTR amx->tile[n / BX_TILE_MAX_ROWS].row[n % BX_TILE_MAX_ROWS]);
}

void BX_CPU_C::restore_tiledata(bxInstruction_c *i, bx_address offset)
{
  bx_address asize_mask = i->asize_mask();

  for (unsigned n=0; n < BX_TILE_REGISTERS * BX_TILE_MAX_ROWS; n++)
    read_virtual_zmmword(i->seg(), (offset + n*64) & asize_mask,
      &BX_CPU_THIS_PTR amx->tile[n / BX_TILE_MAX_ROWS].row[n % BX_TILE_MAX_ROWS]);
  for (unsigned n=0; n < BX_TILE_REGISTERS; n++)
    BX_CPU_THIS_PTR amx->set_tile_used(n);
}
