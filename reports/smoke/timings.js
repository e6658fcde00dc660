window.EMOSYNTH_TIMINGS = [
 {
  "stage": "00_corpora",
  "seconds": 9.1,
  "peak_mb": 530
 },
 {
  "stage": "01_seeding",
  "seconds": 6.2,
  "peak_mb": 476
 },
 {
  "stage": "02_shap",
  "seconds": 32.5,
  "peak_mb": 1317
 },
 {
  "stage": "03_generation",
  "seconds": 243.1,
  "peak_mb": 2070
 },
 {
  "stage": "04_training",
  "seconds": 118.5,
  "peak_mb": 1358
 },
 {
  "stage": "05_authenticity",
  "seconds": 14.2,
  "peak_mb": 630
 },
 {
  "stage": "06_figures",
  "seconds": 19.1,
  "peak_mb": 649
 }
];
