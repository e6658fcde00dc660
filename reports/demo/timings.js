window.EMOSYNTH_TIMINGS = [
 {
  "stage": "00_corpora",
  "seconds": 34.4,
  "peak_mb": 672
 },
 {
  "stage": "01_seeding",
  "seconds": 15.8,
  "peak_mb": 598
 },
 {
  "stage": "02_shap",
  "seconds": 23.2,
  "peak_mb": 734
 },
 {
  "stage": "03_narratives",
  "seconds": 39.9,
  "peak_mb": 671
 },
 {
  "stage": "04_tuning",
  "seconds": 210.6,
  "peak_mb": 2311
 },
 {
  "stage": "05_generation",
  "seconds": 509.0,
  "peak_mb": 2471
 },
 {
  "stage": "06_verification",
  "seconds": 210.6,
  "peak_mb": 2665
 },
 {
  "stage": "07_training",
  "seconds": 240.8,
  "peak_mb": 1760
 },
 {
  "stage": "08_authenticity",
  "seconds": 82.4,
  "peak_mb": 1291
 },
 {
  "stage": "09_context",
  "seconds": 103.4,
  "peak_mb": 2161
 },
 {
  "stage": "10_figures",
  "seconds": 26.5,
  "peak_mb": 1052
 }
];
