"""The explainer of Fairlead that finds anchors with Alibi."""
