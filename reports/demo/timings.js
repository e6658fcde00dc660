window.EMOSYNTH_TIMINGS = [
 {
  "stage": "00_corpora",
  "seconds": 28.3,
  "peak_mb": 667
 },
 {
  "stage": "01_seeding",
  "seconds": 8.3,
  "peak_mb": 525
 },
 {
  "stage": "02_shap",
  "seconds": 37.0,
  "peak_mb": 1433
 },
 {
  "stage": "03_generation",
  "seconds": 214.0,
  "peak_mb": 2637
 },
 {
  "stage": "04_training",
  "seconds": 152.2,
  "peak_mb": 1486
 },
 {
  "stage": "05_authenticity",
  "seconds": 37.8,
  "peak_mb": 728
 },
 {
  "stage": "06_tuning",
  "seconds": 257.5,
  "peak_mb": 5891
 },
 {
  "stage": "07_synthesis",
  "seconds": 254.3,
  "peak_mb": 2858
 },
 {
  "stage": "08_distillation",
  "seconds": 182.8,
  "peak_mb": 1290
 },
 {
  "stage": "09_narratives",
  "seconds": 18.2,
  "peak_mb": 597
 },
 {
  "stage": "10_grounding",
  "seconds": 18.5,
  "peak_mb": 774
 },
 {
  "stage": "11_transfer",
  "seconds": 620.8,
  "peak_mb": 2085
 },
 {
  "stage": "12_figures",
  "seconds": 62.6,
  "peak_mb": 729
 }
];
