"""What hosts are made of: digests of images, newer versions, known security fixes."""
