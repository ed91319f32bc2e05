package io.github.vfio4j.examples.nvme;

import java.io.IOException;

/** The controller refuses a command, or does not do what the specification says. */
public final class NvmeException extends IOException {

    private static final long serialVersionUID = 1L;

    NvmeException(String message) {
        super(message);
    }
}
