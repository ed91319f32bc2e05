package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.examples.sriov.PfOwner;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;

/** Two processes share an SR-IOV function: its owner, which is this one, and the user of a virtual function. */
abstract class SriovProcessesContract {

    /** The other process. Closing it ends it. */
    interface User extends AutoCloseable {

        /** Its standard input. */
        OutputStream input();

        /** What it says, errors and its log included. */
        BufferedReader output();

        /** What anybody on the machine can see of it: command line and environment. */
        String visible() throws IOException;

        /** Its exit code, once it has ended. */
        int waitFor();

        @Override
        void close() throws IOException;
    }

    /** Writes to two streams, the second one being the test's. */
    private static final class Overheard extends FilterOutputStream {
        private final OutputStream second;

        Overheard(OutputStream first, OutputStream second) {
            super(first);
            this.second = second;
        }

        @Override
        public void write(int value) throws IOException {
            super.write(value);
            second.write(value);
        }
    }

    private final StringBuilder said = new StringBuilder();

    /** The kernel as the owner sees it. */
    abstract Vfio vfio();

    abstract PciAddress physicalFunction();

    abstract User start(PciAddress virtualFunction) throws IOException;

    /** The next line that is not from the log. */
    private String answer(User user) throws IOException {
        String line = user.output().readLine();
        while (line != null && !line.startsWith("open: ") && !line.startsWith("refused: ")) {
            said.append(line).append('\n');
            line = user.output().readLine();
        }
        said.append(line).append('\n');
        assertThat(line).as("what the user said: %s", said).isNotNull();
        return line;
    }

    @Test
    void theFunctionIsForWhoWasHandedTheToken() throws IOException {
        ByteArrayOutputStream handed = new ByteArrayOutputStream();
        VfToken wrong = VfToken.random();
        try (PfOwner owner = PfOwner.start(vfio(), physicalFunction(), 1)) {
            PciAddress virtualFunction = owner.virtualFunction(0);
            try (User user = start(virtualFunction)) {
                user.input().write(wrong.toBytes());
                user.input().flush();
                assertThat(answer(user)).startsWith("refused: ").contains("EACCES", "ask its owner for the right one");
                owner.giveToken(new Overheard(user.input(), handed));
                assertThat(answer(user)).isEqualTo("open: device " + virtualFunction);
                said.append(user.visible());
                user.input().close();
                user.output().lines().forEach(line -> said.append(line).append('\n'));
                assertThat(user.waitFor()).isZero();
            }
            said.append(owner);
        }
        assertThat(vfio().pciDevice(physicalFunction()).sriovNumVfs()).isZero();
        for (VfToken token : new VfToken[]{wrong, VfToken.of(handed.toByteArray())}) {
            assertThat(said.toString()).doesNotContainIgnoringCase(token.toText())
                    .doesNotContainIgnoringCase(HexFormat.of().formatHex(token.toBytes()));
        }
    }

    @Test
    void whoIsHandedNothingGetsNothing() throws IOException {
        try (PfOwner owner = PfOwner.start(vfio(), physicalFunction(), 1);
                User user = start(owner.virtualFunction(0))) {
            user.input().close();
            user.output().lines().forEach(line -> said.append(line).append('\n'));
            assertThat(user.waitFor()).as("what the user said: %s", said).isEqualTo(1);
        }
        assertThat(vfio().pciDevice(physicalFunction()).sriovNumVfs()).isZero();
    }
}
