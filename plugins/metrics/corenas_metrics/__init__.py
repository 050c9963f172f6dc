"""Image-quality metrics: PSNR, SSIM, LPIPS and NIQE."""
