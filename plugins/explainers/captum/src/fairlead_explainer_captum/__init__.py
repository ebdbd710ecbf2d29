"""The Captum explainer of Fairlead."""
