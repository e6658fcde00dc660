window.EMOSYNTH_TIMINGS = [
 {
  "stage": "00_corpora",
  "seconds": 10.5,
  "peak_mb": 678,
  "core_seconds": 10.4,
  "energy_wh": 0.029,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "01_seeding",
  "seconds": 5.3,
  "peak_mb": 603,
  "core_seconds": 5.2,
  "energy_wh": 0.014,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "02_shap",
  "seconds": 11.0,
  "peak_mb": 738,
  "core_seconds": 11.6,
  "energy_wh": 0.032,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "03_narratives",
  "seconds": 14.6,
  "peak_mb": 694,
  "core_seconds": 14.4,
  "energy_wh": 0.04,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "04_tuning",
  "seconds": 91.6,
  "peak_mb": 2265,
  "core_seconds": 135.7,
  "energy_wh": 0.377,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "05_generation",
  "seconds": 311.6,
  "peak_mb": 4817,
  "core_seconds": 516.0,
  "energy_wh": 1.433,
  "energy": "estimated at 10 W a busy core",
  "resumed": true,
  "warnings": [
   "generation: Of 540 texts of none@tuned, 7 are empty.",
   "generation: Of 180 texts of shap-tokens@tuned, 24 are empty."
  ]
 },
 {
  "stage": "06_verification",
  "seconds": 148.8,
  "peak_mb": 2696,
  "core_seconds": 240.1,
  "energy_wh": 0.667,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "07_training",
  "seconds": 171.6,
  "peak_mb": 2898,
  "core_seconds": 296.4,
  "energy_wh": 0.823,
  "energy": "estimated at 10 W a busy core",
  "resumed": true
 },
 {
  "stage": "08_authenticity",
  "seconds": 61.2,
  "peak_mb": 1446,
  "core_seconds": 94.0,
  "energy_wh": 0.261,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "09_context",
  "seconds": 87.6,
  "peak_mb": 2192,
  "core_seconds": 131.1,
  "energy_wh": 0.364,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "10_responsible",
  "seconds": 54.1,
  "peak_mb": 1919,
  "core_seconds": 73.4,
  "energy_wh": 0.204,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "11_figures",
  "seconds": 38.6,
  "peak_mb": 1145,
  "core_seconds": 42.2,
  "energy_wh": 0.117,
  "energy": "estimated at 10 W a busy core"
 }
];
