window.EMOSYNTH_TIMINGS = [
 {
  "stage": "00_corpora",
  "seconds": 11.0,
  "peak_mb": 618
 },
 {
  "stage": "01_seeding",
  "seconds": 5.6,
  "peak_mb": 522
 },
 {
  "stage": "02_shap",
  "seconds": 42.1,
  "peak_mb": 1500
 },
 {
  "stage": "03_generation",
  "seconds": 556.6,
  "peak_mb": 2804
 },
 {
  "stage": "04_training",
  "seconds": 331.3,
  "peak_mb": 1968
 },
 {
  "stage": "05_authenticity",
  "seconds": 45.7,
  "peak_mb": 764
 },
 {
  "stage": "06_tuning",
  "seconds": 307.1,
  "peak_mb": 5859
 },
 {
  "stage": "07_synthesis",
  "seconds": 292.1,
  "peak_mb": 3655
 },
 {
  "stage": "08_distillation",
  "seconds": 267.2,
  "peak_mb": 1736
 },
 {
  "stage": "09_figures",
  "seconds": 37.3,
  "peak_mb": 748
 }
];
