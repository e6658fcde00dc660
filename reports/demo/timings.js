window.EMOSYNTH_TIMINGS = [
 {
  "stage": "00_corpora",
  "seconds": 12.0,
  "peak_mb": 601
 },
 {
  "stage": "01_seeding",
  "seconds": 5.4,
  "peak_mb": 519
 },
 {
  "stage": "02_shap",
  "seconds": 116.8,
  "peak_mb": 1454
 },
 {
  "stage": "03_generation",
  "seconds": 16.9,
  "peak_mb": 1465
 },
 {
  "stage": "04_training",
  "seconds": 9.6,
  "peak_mb": 616
 },
 {
  "stage": "05_authenticity",
  "seconds": 45.7,
  "peak_mb": 762
 },
 {
  "stage": "06_figures",
  "seconds": 17.2,
  "peak_mb": 684
 }
];
