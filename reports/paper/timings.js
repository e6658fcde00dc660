window.EMOSYNTH_TIMINGS = [
 {
  "stage": "00_corpora",
  "seconds": 22.9,
  "peak_mb": 1169,
  "core_seconds": 23.0,
  "energy_wh": 0.064,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "01_seeding",
  "seconds": 6.1,
  "peak_mb": 600,
  "core_seconds": 6.0,
  "energy_wh": 0.017,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "02_shap",
  "seconds": 137.0,
  "peak_mb": 1580,
  "core_seconds": 143.1,
  "energy_wh": 0.397,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "03_narratives",
  "seconds": 11.8,
  "peak_mb": 568,
  "core_seconds": 10.4,
  "energy_wh": 0.029,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "04_tuning",
  "seconds": 10.4,
  "peak_mb": 785,
  "core_seconds": 9.6,
  "energy_wh": 0.027,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "05_generation",
  "seconds": 1176.8,
  "peak_mb": 5375,
  "core_seconds": 1831.2,
  "energy_wh": 5.087,
  "energy": "estimated at 10 W a busy core",
  "resumed": true,
  "warnings": [
   "generation: Of 3,150 texts of narrative+shap-exemplars@plain, 20 are empty.",
   "generation: Of 30,000 texts of none@tuned, 1,898 are empty.",
   "generation: Of 750 texts of shap-tokens@tuned, 238 are empty."
  ]
 },
 {
  "stage": "06_verification",
  "seconds": 1748.9,
  "peak_mb": 3725,
  "core_seconds": 1882.1,
  "energy_wh": 5.228,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "07_training",
  "seconds": 5575.6,
  "peak_mb": 10189,
  "core_seconds": 9945.7,
  "energy_wh": 27.627,
  "energy": "estimated at 10 W a busy core",
  "resumed": true
 },
 {
  "stage": "08_authenticity",
  "seconds": 2795.0,
  "peak_mb": 3269,
  "core_seconds": 3412.6,
  "energy_wh": 9.479,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "09_context",
  "seconds": 1320.8,
  "peak_mb": 4493,
  "core_seconds": 2052.8,
  "energy_wh": 5.702,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "10_responsible",
  "seconds": 884.4,
  "peak_mb": 6147,
  "core_seconds": 1298.0,
  "energy_wh": 3.606,
  "energy": "estimated at 10 W a busy core",
  "resumed": true
 },
 {
  "stage": "11_figures",
  "seconds": 111.6,
  "peak_mb": 1792,
  "core_seconds": 140.6,
  "energy_wh": 0.391,
  "energy": "estimated at 10 W a busy core"
 }
];
