require ["fileinto"];

# Newsletters are read on Sundays.
if header :contains "List-Unsubscribe" "http" {
    fileinto "Junk Mail";
}
