window.EMOSYNTH_TIMINGS = [
 {
  "stage": "00_corpora",
  "seconds": 12.1,
  "peak_mb": 686
 },
 {
  "stage": "01_seeding",
  "seconds": 7.2,
  "peak_mb": 604
 },
 {
  "stage": "02_shap",
  "seconds": 11.8,
  "peak_mb": 744
 },
 {
  "stage": "03_narratives",
  "seconds": 17.8,
  "peak_mb": 670
 },
 {
  "stage": "04_tuning",
  "seconds": 112.6,
  "peak_mb": 2305
 },
 {
  "stage": "05_generation",
  "seconds": 373.2,
  "peak_mb": 2956,
  "warnings": [
   "generation: Of 540 texts of none@tuned, 7 are empty.",
   "generation: Of 180 texts of shap-tokens@tuned, 24 are empty."
  ]
 },
 {
  "stage": "06_verification",
  "seconds": 167.6,
  "peak_mb": 2691
 },
 {
  "stage": "07_training",
  "seconds": 221.0,
  "peak_mb": 1808
 },
 {
  "stage": "08_authenticity",
  "seconds": 85.5,
  "peak_mb": 1324
 },
 {
  "stage": "09_context",
  "seconds": 89.8,
  "peak_mb": 2167
 },
 {
  "stage": "10_responsible",
  "seconds": 206.9,
  "peak_mb": 1903
 },
 {
  "stage": "11_figures",
  "seconds": 33.9,
  "peak_mb": 1034
 }
];
