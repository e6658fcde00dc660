window.EMOSYNTH_TIMINGS = [
 {
  "stage": "00_corpora",
  "seconds": 20.7,
  "peak_mb": 667
 },
 {
  "stage": "01_seeding",
  "seconds": 5.6,
  "peak_mb": 531
 },
 {
  "stage": "02_shap",
  "seconds": 32.0,
  "peak_mb": 1539
 },
 {
  "stage": "03_generation",
  "seconds": 259.9,
  "peak_mb": 2691
 },
 {
  "stage": "04_training",
  "seconds": 143.1,
  "peak_mb": 1555
 },
 {
  "stage": "05_authenticity",
  "seconds": 41.4,
  "peak_mb": 745
 },
 {
  "stage": "06_tuning",
  "seconds": 239.2,
  "peak_mb": 5910
 },
 {
  "stage": "07_synthesis",
  "seconds": 473.9,
  "peak_mb": 3182
 },
 {
  "stage": "08_distillation",
  "seconds": 300.7,
  "peak_mb": 1392
 },
 {
  "stage": "09_figures",
  "seconds": 63.0,
  "peak_mb": 703
 }
];
