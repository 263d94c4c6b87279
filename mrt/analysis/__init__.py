"""What measures networks and never changes how a run goes on."""
