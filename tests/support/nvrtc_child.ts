/** A process that compiles kernels: see nvrtc.ts. */
import process from "node:process";
import { serve } from "./nvrtc.ts";

serve(process.env["TNP_TEST_JOBS"]!);
