"""Kernels' names as a person reads them. The signatures are as torch's profiler gives them, shortened at their ends."""

from __future__ import annotations

import pytest

from pytest_gpuperf.traces.names import LONGEST, shortened

COPY = (
    "void at::native::elementwise_kernel<128, 4, at::native::gpu_kernel_impl_nocast<at::native::direct_copy_kernel_cuda"
    "(at::TensorIteratorBase&)::{lambda()#3}::operator()() const::{lambda(c10::BFloat16)#1}>(at::TensorIteratorBase&)"
    "::{lambda(int)#1}>(int, at::native::gpu_kernel_impl_nocast<...>)"
)
FUNCTOR = "std::array<char*, 3ul> >(int, std::array<char*, 3ul>)"
FLASH = (
    "void pytorch_flash::flash_fwd_kernel<pytorch_flash::Flash_fwd_kernel_traits<64, 128, 128, 4, cutlass::half_t> >"
)


@pytest.mark.parametrize(
    ("signature", "name"),
    [
        (COPY, "elementwise copy bf16"),
        (
            "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<c10::Half>, " + FUNCTOR,
            "elementwise add fp16",
        ),
        (
            (
                "void at::native::elementwise_kernel<128, 2, at::native::gpu_kernel_impl_nocast<at::native::Binary"
                "Functor<float, float, float, at::native::binary_internal::DivFunctor<float> > >(at::Base&)>"
            ),
            "elementwise div fp32",
        ),
        (
            "void at::native::vectorized_elementwise_kernel<4, at::native::GeluCUDAKernelImpl(at::TensorIteratorBase&)"
            "::{lambda(float)#1}, " + FUNCTOR,
            "elementwise gelu fp32",
        ),
        (
            "void at::native::vectorized_elementwise_kernel<4, nobody::knows<int>, " + FUNCTOR,
            "vectorized_elementwise_kernel",
        ),
        (
            "void at::native::reduce_kernel<512, 1, at::native::ReduceOp<float, at::native::MeanOps<float, float> > >",
            "reduce mean fp32",
        ),
        (
            "void cudnn::ops::nchwToNhwcKernel<__half, __half, float, false>(cudnn::ops::params)",
            "nchwToNhwcKernel fp16",
        ),
        (
            "void cutlass::Kernel2<cutlass_80_tensorop_s1688gemm_128x128_16x5_tn_align4>(cutlass_80::Params)",
            "cutlass_80_tensorop_s1688gemm_128x128_16x5_tn_align4",
        ),
        (FLASH + "(pytorch_flash::Flash_fwd_params)", "flash_fwd_kernel fp16"),
        ("fmha_cutlassF_f16_aligned_64x64_rf_sm80(P::Params)", "fmha_cutlassF_f16_aligned_64x64_rf_sm80"),
        (
            "std::enable_if<!(false), void>::type internal::gemvx::kernel<int, int, __nv_bfloat16, float>(x)",
            "gemvx::kernel bf16",
        ),
        (
            "void (anonymous namespace)::softmax_warp_forward<c10::Half, 7>(c10::Half*)",
            "softmax_warp_forward fp16",
        ),
        ("ampere_sgemm_128x64_tn", "ampere_sgemm_128x64_tn"),
        ("triton_poi_fused_add_relu_3", "triton_poi_fused_add_relu"),
        ("Memcpy HtoD (Pageable -> Device)", "Memcpy HtoD (Pageable -> Device)"),
        ("_ZN7cutlass6KernelINS_4conv6kernel12ImplicitGemmE", "ImplicitGemm"),
        ("_ZTunreadable", "_ZTunreadable"),
        ("void Kernel<>(int)", "Kernel"),
    ],
)
def test_what_it_does_and_in_which_type(signature: str, name: str) -> None:
    assert shortened(signature) == name


def test_a_name_has_an_end() -> None:
    assert len(shortened("x" * 500)) == LONGEST
    assert shortened("x" * 500).endswith("...")
