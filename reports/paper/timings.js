window.EMOSYNTH_TIMINGS = [
 {
  "stage": "00_corpora",
  "seconds": 7.4,
  "peak_mb": 570
 },
 {
  "stage": "01_seeding",
  "seconds": 6.7,
  "peak_mb": 532
 },
 {
  "stage": "02_shap",
  "seconds": 50.0,
  "peak_mb": 1592
 },
 {
  "stage": "03_generation",
  "seconds": 238.1,
  "peak_mb": 1561
 },
 {
  "stage": "04_training",
  "seconds": 504.3,
  "peak_mb": 1993
 },
 {
  "stage": "05_authenticity",
  "seconds": 100.1,
  "peak_mb": 884
 },
 {
  "stage": "06_figures",
  "seconds": 20.6,
  "peak_mb": 782
 }
];
