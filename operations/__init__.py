"""Commands that operate the platform. They read the synthesized stacks and never import CDKTF, so they start fast."""
