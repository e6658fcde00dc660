window.EMOSYNTH_TIMINGS = [
 {
  "stage": "00_corpora",
  "seconds": 10.4,
  "peak_mb": 663,
  "core_seconds": 10.2,
  "energy_wh": 0.028,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "01_seeding",
  "seconds": 3.9,
  "peak_mb": 497,
  "core_seconds": 3.9,
  "energy_wh": 0.011,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "02_shap",
  "seconds": 11.9,
  "peak_mb": 629,
  "core_seconds": 11.4,
  "energy_wh": 0.032,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "03_narratives",
  "seconds": 14.9,
  "peak_mb": 558,
  "core_seconds": 14.8,
  "energy_wh": 0.041,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "04_tuning",
  "seconds": 62.3,
  "peak_mb": 2303,
  "core_seconds": 87.7,
  "energy_wh": 0.244,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "05_generation",
  "seconds": 151.9,
  "peak_mb": 4053,
  "core_seconds": 228.1,
  "energy_wh": 0.634,
  "energy": "estimated at 10 W a busy core",
  "warnings": [
   "generation: Of 432 texts of none@tuned, 11 are empty."
  ]
 },
 {
  "stage": "06_verification",
  "seconds": 92.1,
  "peak_mb": 2542,
  "core_seconds": 146.3,
  "energy_wh": 0.406,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "07_training",
  "seconds": 117.4,
  "peak_mb": 2689,
  "core_seconds": 198.5,
  "energy_wh": 0.551,
  "energy": "estimated at 10 W a busy core",
  "resumed": true
 },
 {
  "stage": "08_authenticity",
  "seconds": 39.8,
  "peak_mb": 1304,
  "core_seconds": 58.1,
  "energy_wh": 0.161,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "09_context",
  "seconds": 38.9,
  "peak_mb": 1944,
  "core_seconds": 55.5,
  "energy_wh": 0.154,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "10_responsible",
  "seconds": 37.3,
  "peak_mb": 1727,
  "core_seconds": 52.6,
  "energy_wh": 0.146,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "11_figures",
  "seconds": 35.6,
  "peak_mb": 800,
  "core_seconds": 38.2,
  "energy_wh": 0.106,
  "energy": "estimated at 10 W a busy core"
 }
];
