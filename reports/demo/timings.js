window.EMOSYNTH_TIMINGS = [
 {
  "stage": "00_corpora",
  "seconds": 25.0,
  "peak_mb": 666
 },
 {
  "stage": "01_seeding",
  "seconds": 8.0,
  "peak_mb": 529
 },
 {
  "stage": "02_shap",
  "seconds": 37.5,
  "peak_mb": 1439
 },
 {
  "stage": "03_generation",
  "seconds": 16.2,
  "peak_mb": 1459
 },
 {
  "stage": "04_training",
  "seconds": 11.0,
  "peak_mb": 779
 },
 {
  "stage": "05_authenticity",
  "seconds": 32.3,
  "peak_mb": 719
 },
 {
  "stage": "06_tuning",
  "seconds": 9.0,
  "peak_mb": 736
 },
 {
  "stage": "07_synthesis",
  "seconds": 241.9,
  "peak_mb": 3050
 },
 {
  "stage": "08_distillation",
  "seconds": 186.4,
  "peak_mb": 1372
 },
 {
  "stage": "09_narratives",
  "seconds": 15.9,
  "peak_mb": 593
 },
 {
  "stage": "10_grounding",
  "seconds": 139.1,
  "peak_mb": 1774
 },
 {
  "stage": "11_transfer",
  "seconds": 355.1,
  "peak_mb": 2043
 },
 {
  "stage": "12_figures",
  "seconds": 53.7,
  "peak_mb": 661
 }
];
