window.EMOSYNTH_TIMINGS = [
 {
  "stage": "00_corpora",
  "seconds": 42.0,
  "peak_mb": 1089
 },
 {
  "stage": "01_seeding",
  "seconds": 6.7,
  "peak_mb": 538
 },
 {
  "stage": "02_shap",
  "seconds": 72.4,
  "peak_mb": 1583
 },
 {
  "stage": "03_generation",
  "seconds": 2987.4,
  "peak_mb": 2900
 },
 {
  "stage": "04_training",
  "seconds": 673.5,
  "peak_mb": 2264
 },
 {
  "stage": "05_authenticity",
  "seconds": 107.4,
  "peak_mb": 878
 },
 {
  "stage": "06_tuning",
  "seconds": 1437.7,
  "peak_mb": 3466
 },
 {
  "stage": "07_synthesis",
  "seconds": 4296.7,
  "peak_mb": 2825
 },
 {
  "stage": "08_distillation",
  "seconds": 1472.5,
  "peak_mb": 2538
 },
 {
  "stage": "09_narratives",
  "seconds": 15.1,
  "peak_mb": 601
 },
 {
  "stage": "10_grounding",
  "seconds": 5791.1,
  "peak_mb": 2263
 },
 {
  "stage": "11_transfer",
  "seconds": 1597.7,
  "peak_mb": 2530
 },
 {
  "stage": "12_figures",
  "seconds": 83.3,
  "peak_mb": 1136
 }
];
