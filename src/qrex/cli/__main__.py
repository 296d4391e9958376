from qrex.cli import main

main()
