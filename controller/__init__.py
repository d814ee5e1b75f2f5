"""The controller: policy in Git, reconciled against systems; hosts, told and asked by signed actions."""
