window.EMOSYNTH_TIMINGS = [
 {
  "stage": "00_corpora",
  "seconds": 23.6,
  "peak_mb": 686
 },
 {
  "stage": "01_seeding",
  "seconds": 6.2,
  "peak_mb": 539
 },
 {
  "stage": "02_shap",
  "seconds": 36.5,
  "peak_mb": 1448
 },
 {
  "stage": "03_generation",
  "seconds": 179.5,
  "peak_mb": 2717
 },
 {
  "stage": "04_training",
  "seconds": 74.8,
  "peak_mb": 1538
 },
 {
  "stage": "05_authenticity",
  "seconds": 40.0,
  "peak_mb": 726
 },
 {
  "stage": "06_tuning",
  "seconds": 202.0,
  "peak_mb": 4101
 },
 {
  "stage": "07_synthesis",
  "seconds": 166.7,
  "peak_mb": 3084
 },
 {
  "stage": "08_distillation",
  "seconds": 134.7,
  "peak_mb": 1298
 },
 {
  "stage": "09_narratives",
  "seconds": 20.9,
  "peak_mb": 613
 },
 {
  "stage": "10_grounding",
  "seconds": 158.7,
  "peak_mb": 1819
 },
 {
  "stage": "11_transfer",
  "seconds": 272.0,
  "peak_mb": 2030
 },
 {
  "stage": "12_figures",
  "seconds": 54.7,
  "peak_mb": 711
 }
];
