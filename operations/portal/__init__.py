"""The portal: one HTML page about every region and environment, made from what is synthesized, reported and running."""
