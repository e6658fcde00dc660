window.EMOSYNTH_TIMINGS = [
 {
  "stage": "00_corpora",
  "seconds": 9.4,
  "peak_mb": 546,
  "core_seconds": 9.2,
  "energy_wh": 0.025,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "01_seeding",
  "seconds": 2.5,
  "peak_mb": 264,
  "core_seconds": 2.3,
  "energy_wh": 0.006,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "02_shap",
  "seconds": 9.7,
  "peak_mb": 555,
  "core_seconds": 10.1,
  "energy_wh": 0.028,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "03_narratives",
  "seconds": 14.3,
  "peak_mb": 481,
  "core_seconds": 14.3,
  "energy_wh": 0.04,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "04_tuning",
  "seconds": 50.9,
  "peak_mb": 2184,
  "core_seconds": 66.7,
  "energy_wh": 0.185,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "05_generation",
  "seconds": 143.4,
  "peak_mb": 3377,
  "core_seconds": 208.9,
  "energy_wh": 0.58,
  "energy": "estimated at 10 W a busy core",
  "warnings": [
   "generation: Of 432 texts of none@tuned, 12 are empty."
  ]
 },
 {
  "stage": "06_verification",
  "seconds": 92.0,
  "peak_mb": 3228,
  "core_seconds": 133.3,
  "energy_wh": 0.37,
  "energy": "estimated at 10 W a busy core",
  "warnings": [
   "verification: arm naive: no candidate was accepted of neutral in 1 of 5 seeds of 40 labels of vader-tweets",
   "verification: arm naive-random: no candidate was accepted of neutral in 1 of 5 seeds of 40 labels of vader-tweets",
   "verification: arm naive-taught: no candidate was accepted of neutral in 1 of 3 seeds of 80 labels of vader-tweets",
   "verification: arm shap: no candidate was accepted of neutral in 1 of 5 seeds of 40 labels of vader-tweets",
   "verification: arm sentisynth: no candidate was accepted of negative in 3 of 3 seeds of 80 labels of vader-tweets; of neutral in 2 of 3 seeds of 80 labels of vader-tweets"
  ]
 },
 {
  "stage": "07_training",
  "seconds": 170.1,
  "peak_mb": 2393,
  "core_seconds": 299.2,
  "energy_wh": 0.831,
  "energy": "estimated at 10 W a busy core",
  "resumed": true
 },
 {
  "stage": "08_authenticity",
  "seconds": 33.1,
  "peak_mb": 1039,
  "core_seconds": 48.4,
  "energy_wh": 0.134,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "09_context",
  "seconds": 33.4,
  "peak_mb": 1886,
  "core_seconds": 37.4,
  "energy_wh": 0.104,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "10_responsible",
  "seconds": 29.1,
  "peak_mb": 1599,
  "core_seconds": 37.8,
  "energy_wh": 0.105,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "11_figures",
  "seconds": 27.7,
  "peak_mb": 864,
  "core_seconds": 30.2,
  "energy_wh": 0.084,
  "energy": "estimated at 10 W a busy core"
 }
];
