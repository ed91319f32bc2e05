package io.github.vfio4j.trace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.StringWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is written is what was read. In these texts, single quotes stand for the double ones. */
class TranscriptWriterTest {

    /** Every kind of call, with everything that it can have. */
    private static final String EVERYTHING = """
            {'transcript':1,'kernel':'7.2','devices':[]}
            {'op':'open','as':'d','path':'/dev/vfio/devices/vfio0','flags':2,'result':'fd'}
            {'op':'open','path':'/dev/null','flags':0,'anyOf':['fd',-13]}
            {'op':'eventfd','as':'e','value':7,'flags':2048,'result':'fd'}
            {'op':'ioctl','fd':'d','request':'0x3b64','arg':null,'result':0}
            {'op':'ioctl','fd':9,'request':'0x3b66','arg':-3,'result':-9}
            {'op':'ioctl','fd':9,'request':'0x3b66','arg':-9223372036854775808,'result':-9}
            {'op':'ioctl','fd':'d','as':'x','request':'0x3b73','arg':'00000000','result':'fd'}
            {'op':'ioctl','fd':'d','request':'0x3b75','arg':'0102','out':'0103','anyOf':[0,1,-22],'pauseMillis':5}
            {'op':'ioctl','fd':'d','request':'0x3b75','arg':'0102','out':'0202','result':0}
            {'op':'ioctl','fd':'d','request':'0x3b75','arg':'0102030405060708','mapped':3,'result':-14}
            {'op':'ioctl','fd':'d','request':'0x3b68','arg':'00000000','fds':[{'offset':0,'name':'e'}],'result':0}
            {'op':'ioctl','fd':'d','request':'0x3b75','arg':'0000000000000000','outFds':[{'offset':4,'name':'m'}],'result':0}
            {'op':'ioctl','fd':'d','request':'0x3b75','arg':'0000000000000000','pointees':[{'offset':0,'in':'0a','out':'0b'},{'offset':0,'in':'0c'}],'result':0}
            {'op':'read','fd':'e','length':8,'data':'0700000000000000','result':8}
            {'op':'read','fd':'e','length':8,'result':-11}
            {'op':'pread','fd':'e','length':8,'offset':16,'result':-29}
            {'op':'write','fd':'e','data':'01','result':-22}
            {'op':'pwrite','fd':'e','data':'01','offset':-1,'result':-29}
            {'op':'sysfs','path':'/sys/module/vfio_pci/parameters/enable_sriov','value':'1','result':0}
            {'op':'close','fd':'e','result':0}
            {'op':'close','fd':9,'result':-9}
            """
            .replace('\'', '"');

    private static String writtenAgain(Transcript transcript) throws IOException {
        StringWriter text = new StringWriter();
        TranscriptWriter writer = new TranscriptWriter(text);
        writer.write(transcript.environment());
        transcript.calls().forEach(writer::write);
        writer.close();
        return text.toString();
    }

    @Test
    void everyCallIsWrittenAsItWasRead() throws IOException {
        Transcript transcript = Transcript.read(new ByteArrayInputStream(EVERYTHING.getBytes(StandardCharsets.UTF_8)));
        assertThat(writtenAgain(transcript)).isEqualTo(EVERYTHING);
    }

    @Test
    void aFileMayBePacked(@TempDir Path directory) throws IOException {
        byte[] plain = EVERYTHING.getBytes(StandardCharsets.UTF_8);
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        try (GZIPOutputStream out = new GZIPOutputStream(packed)) {
            out.write(plain);
        }
        Path file = Files.write(directory.resolve("a.jsonl"), plain);
        Path packedFile = Files.write(directory.resolve("a.jsonl.gz"), packed.toByteArray());
        assertThat(writtenAgain(Transcript.read(packedFile))).isEqualTo(writtenAgain(Transcript.read(file)));
    }

    /** Of what is mapped, a transcript may show the bytes afterwards alone. */
    @Test
    void theBytesAfterwardsMayEndWhereTheMemoryEnds() throws IOException {
        String start = "{'transcript':1,'kernel':'7.2','devices':[]}\n{'op':'ioctl','fd':3,'request':'0x3b75',"
                + "'arg':'01020304',";
        Transcript transcript = Transcript.read(new ByteArrayInputStream(
                (start + "'out':'0109','mapped':2,'result':0}\n").replace('\'', '"').getBytes(StandardCharsets.UTF_8)));
        assertThat(writtenAgain(transcript).replace('"', '\''))
                .isEqualTo(start + "'out':'01090304','mapped':2,'result':0}\n");
    }

    /** Whoever follows the file sees every call once it has returned. */
    @Test
    void everyLineIsWrittenOutAtOnce() throws IOException {
        Transcript transcript = Transcript.read(new ByteArrayInputStream(EVERYTHING.getBytes(StandardCharsets.UTF_8)));
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        TranscriptWriter writer = new TranscriptWriter(new OutputStreamWriter(file, StandardCharsets.UTF_8));
        writer.write(transcript.environment());
        assertThat(file.toString(StandardCharsets.UTF_8).lines()).hasSize(1);
        writer.write(transcript.calls().getFirst());
        assertThat(file.toString(StandardCharsets.UTF_8))
                .isEqualTo(EVERYTHING.lines().limit(2).map(line -> line + "\n").reduce("", String::concat));
    }

    @Test
    void theFirstFailureIsReportedAndNothingIsWrittenAfterIt() throws IOException {
        Transcript transcript = Transcript.read(new ByteArrayInputStream(EVERYTHING.getBytes(StandardCharsets.UTF_8)));
        StringBuilder written = new StringBuilder();
        TranscriptWriter writer = new TranscriptWriter(new Writer() {
            @Override
            public void write(char[] text, int offset, int length) throws IOException {
                written.append(text, offset, length);
                throw new IOException("failure " + written.toString().lines().count());
            }

            @Override
            public void flush() {
                // Nothing is kept back.
            }

            @Override
            public void close() {
                written.append("closed");
            }
        });
        transcript.calls().forEach(writer::write);
        assertThatIOException().isThrownBy(writer::close).withMessage("failure 1");
        assertThat(written.toString().lines()).hasSize(2).last().isEqualTo("closed");
    }
}
