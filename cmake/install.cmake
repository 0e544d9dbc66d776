# Installation and packages (CPack) are described with the units in systemd/.
