"""Image-quality metrics: PSNR, SSIM, LPIPS and NIQE.

`psnr`, `ssim`, `lpips` and `niqe` have a metric each, with a pure function or a class to call;
`config` has their options and metadata. Other plugins reach metrics by name. Modules with a leading
underscore may change at any time.
"""
