window.EMOSYNTH_TIMINGS = [
 {
  "stage": "00_corpora",
  "seconds": 9.6,
  "peak_mb": 543,
  "core_seconds": 9.6,
  "energy_wh": 0.027,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "01_seeding",
  "seconds": 2.7,
  "peak_mb": 327,
  "core_seconds": 2.5,
  "energy_wh": 0.007,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "02_shap",
  "seconds": 9.7,
  "peak_mb": 566,
  "core_seconds": 10.2,
  "energy_wh": 0.028,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "03_narratives",
  "seconds": 12.2,
  "peak_mb": 478,
  "core_seconds": 12.2,
  "energy_wh": 0.034,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "04_tuning",
  "seconds": 49.8,
  "peak_mb": 2083,
  "core_seconds": 66.1,
  "energy_wh": 0.184,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "05_generation",
  "seconds": 124.8,
  "peak_mb": 3325,
  "core_seconds": 186.1,
  "energy_wh": 0.517,
  "energy": "estimated at 10 W a busy core",
  "warnings": [
   "generation: Of 432 texts of none@tuned, 12 are empty."
  ]
 },
 {
  "stage": "06_verification",
  "seconds": 71.6,
  "peak_mb": 2481,
  "core_seconds": 108.4,
  "energy_wh": 0.301,
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
  "seconds": 165.2,
  "peak_mb": 2089,
  "core_seconds": 269.2,
  "energy_wh": 0.748,
  "energy": "estimated at 10 W a busy core",
  "resumed": true
 },
 {
  "stage": "08_authenticity",
  "seconds": 33.7,
  "peak_mb": 1042,
  "core_seconds": 49.5,
  "energy_wh": 0.137,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "09_context",
  "seconds": 30.8,
  "peak_mb": 1872,
  "core_seconds": 41.4,
  "energy_wh": 0.115,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "10_responsible",
  "seconds": 30.0,
  "peak_mb": 1662,
  "core_seconds": 40.3,
  "energy_wh": 0.112,
  "energy": "estimated at 10 W a busy core"
 },
 {
  "stage": "11_figures",
  "seconds": 26.8,
  "peak_mb": 740,
  "core_seconds": 29.6,
  "energy_wh": 0.082,
  "energy": "estimated at 10 W a busy core"
 }
];
