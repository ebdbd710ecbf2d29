"""The SHAP explainer of Fairlead."""
