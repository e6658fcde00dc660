window.EMOSYNTH_TIMINGS = [
 {
  "stage": "00_corpora",
  "seconds": 8.1,
  "peak_mb": 661,
  "core_seconds": 8.0,
  "energy_wh": 0.022,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "01_seeding",
  "seconds": 3.5,
  "peak_mb": 490,
  "core_seconds": 3.4,
  "energy_wh": 0.01,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "02_shap",
  "seconds": 8.5,
  "peak_mb": 629,
  "core_seconds": 8.9,
  "energy_wh": 0.025,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "03_narratives",
  "seconds": 12.9,
  "peak_mb": 559,
  "core_seconds": 12.6,
  "energy_wh": 0.035,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "04_tuning",
  "seconds": 44.7,
  "peak_mb": 2310,
  "core_seconds": 59.9,
  "energy_wh": 0.167,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "05_generation",
  "seconds": 127.8,
  "peak_mb": 4064,
  "core_seconds": 191.6,
  "energy_wh": 0.532,
  "energy": "estimated at 10 W a busy core",
  "warnings": [
   "generation: Of 432 texts of none@tuned, 12 are empty."
  ]
 },
 {
  "stage": "06_verification",
  "seconds": 69.6,
  "peak_mb": 2528,
  "core_seconds": 105.9,
  "energy_wh": 0.294,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "07_training",
  "seconds": 99.5,
  "peak_mb": 2675,
  "core_seconds": 165.7,
  "energy_wh": 0.46,
  "energy": "estimated at 10 W a busy core",
  "resumed": true
 },
 {
  "stage": "08_authenticity",
  "seconds": 33.8,
  "peak_mb": 1297,
  "core_seconds": 48.3,
  "energy_wh": 0.134,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "09_context",
  "seconds": 31.7,
  "peak_mb": 1936,
  "core_seconds": 43.7,
  "energy_wh": 0.121,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "10_responsible",
  "seconds": 29.0,
  "peak_mb": 1682,
  "core_seconds": 38.7,
  "energy_wh": 0.108,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "11_figures",
  "seconds": 25.0,
  "peak_mb": 772,
  "core_seconds": 26.8,
  "energy_wh": 0.074,
  "energy": "estimated at 10 W a busy core"
 }
];
