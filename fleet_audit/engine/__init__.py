"""Work on chunks of whole vehicles: how a fleet is cut, and the engines that compute the chunks."""
