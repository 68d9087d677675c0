"""Scripts that each print one table: this project and its peers, same work, same run."""
