window.EMOSYNTH_TIMINGS = [
 {
  "stage": "00_corpora",
  "seconds": 7.4,
  "peak_mb": 512,
  "core_seconds": 6.9,
  "energy_wh": 0.019,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "01_seeding",
  "seconds": 2.3,
  "peak_mb": 306,
  "core_seconds": 1.8,
  "energy_wh": 0.005,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "02_shap",
  "seconds": 8.1,
  "peak_mb": 558,
  "core_seconds": 7.5,
  "energy_wh": 0.021,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "03_narratives",
  "seconds": 11.9,
  "peak_mb": 482,
  "core_seconds": 10.5,
  "energy_wh": 0.029,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "04_tuning",
  "seconds": 57.6,
  "peak_mb": 2354,
  "core_seconds": 54.6,
  "energy_wh": 0.152,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "05_generation",
  "seconds": 111.3,
  "peak_mb": 3382,
  "core_seconds": 161.6,
  "energy_wh": 0.449,
  "energy": "estimated at 10 W a busy core",
  "warnings": [
   "generation: Of 432 texts of none@tuned, 12 are empty."
  ]
 },
 {
  "stage": "06_verification",
  "seconds": 59.1,
  "peak_mb": 2457,
  "core_seconds": 89.5,
  "energy_wh": 0.249,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "07_training",
  "seconds": 80.8,
  "peak_mb": 2069,
  "core_seconds": 134.5,
  "energy_wh": 0.374,
  "energy": "estimated at 10 W a busy core",
  "resumed": true
 },
 {
  "stage": "08_authenticity",
  "seconds": 32.3,
  "peak_mb": 1052,
  "core_seconds": 47.5,
  "energy_wh": 0.132,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "09_context",
  "seconds": 26.5,
  "peak_mb": 1868,
  "core_seconds": 36.4,
  "energy_wh": 0.101,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "10_responsible",
  "seconds": 26.0,
  "peak_mb": 1612,
  "core_seconds": 34.9,
  "energy_wh": 0.097,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "11_figures",
  "seconds": 23.9,
  "peak_mb": 700,
  "core_seconds": 26.2,
  "energy_wh": 0.073,
  "energy": "estimated at 10 W a busy core"
 }
];
