window.EMOSYNTH_TIMINGS = [
 {
  "stage": "00_corpora",
  "seconds": 11.4,
  "peak_mb": 619
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
  "stage": "06_tuning",
  "seconds": 7.0,
  "peak_mb": 743
 },
 {
  "stage": "07_synthesis",
  "seconds": 60.0,
  "peak_mb": 1870
 },
 {
  "stage": "08_distillation",
  "seconds": 1013.7,
  "peak_mb": 2326
 },
 {
  "stage": "09_figures",
  "seconds": 35.5,
  "peak_mb": 854
 }
];
