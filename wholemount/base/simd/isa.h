#pragma once

/// Multi-ISA compilation.
///
/// A source listed with wm_isa_sources() in CMake is compiled once per instruction set with WM_ISA
/// set to portable, avx2 or avx512 and the matching compiler flags; it defines its functions in
/// namespace wholemount::WM_ISA. Such a source includes only this folder's headers, its own
/// declarations and C headers: an inline function of the standard library compiled with AVX-512
/// could otherwise be the copy the linker keeps for everybody. It therefore exports plain functions
/// over plain structs; kernels (task cutting, shapes) live in ordinary sources.
///
/// The declaring header writes
///   WM_DECLARE_PER_ISA(void pool_row(const PoolRow& row);)
/// and callers pick at run time with WM_PICK_ISA(isa, pool_row), a function pointer.

#define WM_DECLARE_PER_ISA(...) \
  namespace portable {          \
  __VA_ARGS__                   \
  }                             \
  namespace avx2 {              \
  __VA_ARGS__                   \
  }                             \
  namespace avx512 {            \
  __VA_ARGS__                   \
  }

#define WM_PICK_ISA(isa, function)                                      \
  ((isa) == ::wholemount::Isa::avx512 ? &::wholemount::avx512::function \
   : (isa) == ::wholemount::Isa::avx2 ? &::wholemount::avx2::function   \
                                      : &::wholemount::portable::function)
