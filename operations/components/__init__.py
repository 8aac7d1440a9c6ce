"""The platform components: folders of `management/` that Argo CD installs in every cluster."""
