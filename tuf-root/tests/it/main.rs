mod material;
