window.EMOSYNTH_TIMINGS = [
 {
  "stage": "00_corpora",
  "seconds": 19.4,
  "peak_mb": 625
 },
 {
  "stage": "01_seeding",
  "seconds": 5.5,
  "peak_mb": 492
 },
 {
  "stage": "02_shap",
  "seconds": 35.0,
  "peak_mb": 1489
 },
 {
  "stage": "03_generation",
  "seconds": 589.5,
  "peak_mb": 2678
 },
 {
  "stage": "04_training",
  "seconds": 197.1,
  "peak_mb": 1585
 },
 {
  "stage": "05_authenticity",
  "seconds": 46.3,
  "peak_mb": 715
 },
 {
  "stage": "06_figures",
  "seconds": 18.2,
  "peak_mb": 602
 }
];
